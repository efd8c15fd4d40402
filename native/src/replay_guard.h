// A lock for a few instructions on a session's replay window, which costs nothing while only one thread opens records.
#pragma once
#include <atomic>

namespace vpnd {

class ReplayGuard {
 public:
  // Before any thread uses it.
  void share() { shared_ = true; }

  // Usable with std::lock_guard.
  void lock() noexcept {
    if (!shared_) return;
    while (taken_.test_and_set(std::memory_order_acquire)) {
      while (taken_.test(std::memory_order_relaxed)) relax();
    }
  }
  void unlock() noexcept {
    if (shared_) taken_.clear(std::memory_order_release);
  }

 private:
  static void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  bool shared_ = false;
  std::atomic_flag taken_;
};

}  // namespace vpnd
