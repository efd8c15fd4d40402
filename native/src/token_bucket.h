// At most `rate` a second on average, `burst` at once. One thread.
#pragma once
#include <cstdint>

namespace vpnd {

class TokenBucket {
 public:
  TokenBucket(unsigned rate, unsigned burst) : rate_(rate), full_(uint64_t{burst} * 1000), level_(full_) {}
  // `now_ms` is monotonic.
  bool take(uint64_t now_ms) noexcept {
    if (now_ms > last_ms_) {
      const uint64_t passed = now_ms - last_ms_;
      level_ = passed >= full_ / rate_ ? full_ : level_ + passed * rate_;
      if (level_ > full_) level_ = full_;
      last_ms_ = now_ms;
    }
    if (level_ < 1000) return false;
    level_ -= 1000;
    return true;
  }

 private:
  uint64_t rate_;   // thousandths of a token a millisecond
  uint64_t full_;   // thousandths
  uint64_t level_;
  uint64_t last_ms_ = 0;
};

}  // namespace vpnd
