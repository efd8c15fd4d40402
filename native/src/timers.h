// Timers of the control thread. A callback looks its object up by number when it fires: it may be gone by then.
#pragma once
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "clock.h"

namespace vpnd {

class Timers {
 public:
  void after(uint64_t ms, std::function<void()> callback) { queue_.push({now_ms() + ms, order_++, std::move(callback)}); }

  // Runs what is due. Milliseconds until the next one, or -1.
  int run() {
    while (!queue_.empty()) {
      const uint64_t now = now_ms();
      if (queue_.top().at_ms > now) return static_cast<int>(queue_.top().at_ms - now);
      // priority_queue gives no mutable access; the entry is popped right after.
      auto callback = std::move(const_cast<Entry&>(queue_.top()).callback);
      queue_.pop();
      callback();
    }
    return -1;
  }

 private:
  struct Entry {
    uint64_t at_ms;
    uint64_t order;
    std::function<void()> callback;
    bool operator<(const Entry& other) const {
      return at_ms != other.at_ms ? at_ms > other.at_ms : order > other.order;
    }
  };
  std::priority_queue<Entry> queue_;
  uint64_t order_ = 0;
};

}  // namespace vpnd
