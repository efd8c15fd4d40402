// hot: How many bytes may pass, spent by several threads.
#pragma once
#include <atomic>
#include <cstdint>

namespace vpnd {

class ByteBudget {
 public:
  explicit ByteBudget(uint64_t limit) : limit_(limit) {}

  // Of all bytes since the beginning.
  void set_limit(uint64_t bytes) noexcept { limit_.store(bytes, std::memory_order_relaxed); }
  uint64_t passed() const noexcept { return passed_.load(std::memory_order_relaxed); }

  // False: not so many are left. What is left then is forfeited, lest it stay for ever when no packet is as small.
  bool spend(uint64_t bytes) noexcept {
    const uint64_t limit = limit_.load(std::memory_order_relaxed);
    uint64_t before = passed();
    while (true) {
      // A limit that was lowered gives nothing back.
      const bool fits = before <= limit && bytes <= limit - before;
      const uint64_t after = fits ? before + bytes : before > limit ? before : limit;
      if (passed_.compare_exchange_weak(before, after, std::memory_order_relaxed)) return fits;
    }
  }

 private:
  std::atomic<uint64_t> limit_;
  std::atomic<uint64_t> passed_{0};
};

}  // namespace vpnd
