// The batches of a packet port: filled by its thread, taken by the carrier, and given back. There are few, so that what waits in
// them is bounded: while the carrier has all, the device is not read.
#pragma once
#include <array>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "bytes.h"
#include "port_counters.h"

namespace vpnd {

inline constexpr unsigned kPortBatches = 4;
// Room for several of the largest items, and for as many small ones as a queue of a device commonly holds.
inline constexpr size_t kBatchBytes = 4 * (65536 + 64);
inline constexpr size_t kBatchItems = 4096;

// Shared with JavaScript, which may look at it as long as it likes; nothing is read back from it.
struct BatchMemory {
  struct One {
    alignas(64) std::array<uint8_t, kBatchBytes> data;
    std::array<uint32_t, kBatchItems> ends;
  };
  std::array<One, kPortBatches> all;
};

struct Batch {
  unsigned index = 0;
  size_t bytes = 0;
  size_t items = 0;
  PortItems kind = PortItems::packets;
};

class BatchQueue {
 public:
  // An empty one for the thread; -1: all are elsewhere, and give_back will say that one was missed.
  int take_free();
  void put(const Batch& batch);
  // Whether nothing waits to be taken.
  bool drained();
  // The oldest one that waits.
  std::optional<Batch> take();
  // True: the thread waits for one. Of a batch that is not taken: nothing.
  bool give_back(unsigned index);

 private:
  enum class State : uint8_t { free, filling, waiting, taken };
  std::mutex mutex_;
  std::array<State, kPortBatches> states_{};
  std::deque<Batch> waiting_;
  bool missed_ = false;
};

}  // namespace vpnd
