// Deferred reclamation: packet threads read shared structures without locks; the control thread replaces them and frees
// the old ones only when every packet thread has passed a point at which it held none (quiescent-state based).
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

namespace vpnd {

class Reclaimer {
 public:
  static constexpr unsigned kMaxReaders = 16;

  // Reader side. Between `enter` and `leave` pointers loaded from shared atomics stay valid; a loop calls `enter` again at
  // the top of each round (which ends the round before) and `leave` before it blocks.
  void enter(unsigned reader) {
    seen_[reader].epoch.store(epoch_.load(std::memory_order_acquire), std::memory_order_seq_cst);
    // No load of a shared pointer may move before that store.
#if defined(__SANITIZE_THREAD__)
    epoch_.fetch_add(0, std::memory_order_seq_cst);  // it does not know fences
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
  }
  void leave(unsigned reader) { seen_[reader].epoch.store(kOffline, std::memory_order_release); }

  // Writer side, one thread. Call after the pointer has been replaced.
  void retire(std::function<void()> destroy) {
    const uint64_t now = epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;
    waiting_.emplace_back(now, std::move(destroy));
  }
  // Frees what nobody can hold any more. True: something still waits.
  bool collect() {
    uint64_t oldest = UINT64_MAX;
    for (const auto& reader : seen_) {
      const uint64_t e = reader.epoch.load(std::memory_order_seq_cst);
      if (e < oldest) oldest = e;
    }
    while (!waiting_.empty() && waiting_.front().first <= oldest) {
      waiting_.front().second();
      waiting_.pop_front();
    }
    return !waiting_.empty();
  }

 private:
  static constexpr uint64_t kOffline = UINT64_MAX;
  struct alignas(64) Seen {
    std::atomic<uint64_t> epoch{kOffline};
  };
  std::atomic<uint64_t> epoch_{1};
  Seen seen_[kMaxReaders];
  std::deque<std::pair<uint64_t, std::function<void()>>> waiting_;
};

}  // namespace vpnd
