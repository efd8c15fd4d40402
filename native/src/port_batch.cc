#include "port_batch.h"

#include <utility>

namespace vpnd {

int BatchQueue::take_free() {
  const std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < kPortBatches; i++) {
    if (states_[i] != State::free) continue;
    states_[i] = State::filling;
    return static_cast<int>(i);
  }
  missed_ = true;
  return -1;
}

void BatchQueue::put(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  states_[batch.index] = State::waiting;
  waiting_.push_back(batch);
}

bool BatchQueue::drained() {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

std::optional<Batch> BatchQueue::take() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return std::nullopt;
  const Batch batch = waiting_.front();
  waiting_.pop_front();
  states_[batch.index] = State::taken;
  return batch;
}

bool BatchQueue::give_back(unsigned index) {
  const std::lock_guard lock(mutex_);
  if (index >= kPortBatches || states_[index] != State::taken) return false;
  states_[index] = State::free;
  return std::exchange(missed_, false);
}

}  // namespace vpnd
