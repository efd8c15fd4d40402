// At most `rate` a second on average, `burst` at once. One thread.
#pragma once
#include <cstdint>

namespace vpnd {

class TokenBucket {
 public:
  TokenBucket(unsigned rate, unsigned burst) : rate_(rate), full_(uint64_t{burst} * 1000), level_(full_) {}
  // `now_ms` is monotonic.
  bool take(uint64_t now_ms) noexcept {
    level_ = refilled(now_ms);
    if (now_ms > last_ms_) last_ms_ = now_ms;
    if (level_ < 1000) return false;
    level_ -= 1000;
    return true;
  }
  // How many could be taken now.
  uint64_t level(uint64_t now_ms) const noexcept { return refilled(now_ms) / 1000; }
  // One that was taken after all does not count.
  void give_back() noexcept { level_ = level_ + 1000 > full_ ? full_ : level_ + 1000; }

 private:
  uint64_t refilled(uint64_t now_ms) const noexcept {
    if (now_ms <= last_ms_) return level_;
    const uint64_t passed = now_ms - last_ms_;
    if (passed >= full_ / rate_) return full_;
    const uint64_t level = level_ + passed * rate_;
    return level > full_ ? full_ : level;
  }

  uint64_t rate_;   // thousandths of a token a millisecond
  uint64_t full_;   // thousandths
  uint64_t level_;
  uint64_t last_ms_ = 0;
};

}  // namespace vpnd
