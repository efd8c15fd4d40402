// The batches that all devices of a port hub share: filled by its thread, taken by the carrier, and given back.
#pragma once
#include <condition_variable>

#include "port_batch.h"

namespace vpnd {

inline constexpr unsigned kHubBatches = 16;

// Shared with JavaScript, as BatchMemory.
struct HubMemory {
  std::array<BatchMemory::One, kHubBatches> all;
};

// Items of one client.
struct HubBatch {
  uint32_t client = 0;
  Batch batch;
};

class HubBatches {
 public:
  // An empty one for the thread, which waits until there is one; -1 after end().
  int wait_free();
  // The same without waiting; -1: there is none now.
  int take_free();
  void end();
  // One that stayed empty.
  void discard(unsigned index);
  void put(const HubBatch& batch);
  bool drained();
  std::optional<HubBatch> take();
  // Of a batch that is not taken: nothing.
  void give_back(unsigned index);

 private:
  int claim_free();

  enum class State : uint8_t { free, filling, waiting, taken };
  std::mutex mutex_;
  std::condition_variable freed_;
  std::array<State, kHubBatches> states_{};
  std::deque<HubBatch> waiting_;
  bool ended_ = false;
};

}  // namespace vpnd
