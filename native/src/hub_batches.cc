#include "hub_batches.h"

#include <algorithm>

namespace vpnd {

int HubBatches::wait_free() {
  std::unique_lock lock(mutex_);
  int found = -1;
  freed_.wait(lock, [&] {
    found = ended_ ? -1 : claim_free();
    return ended_ || found >= 0;
  });
  return found;
}

int HubBatches::take_free() {
  const std::lock_guard lock(mutex_);
  return claim_free();
}

int HubBatches::claim_free() {
  const auto free = std::find(states_.begin(), states_.end(), State::free);
  if (free == states_.end()) return -1;
  *free = State::filling;
  return static_cast<int>(free - states_.begin());
}

void HubBatches::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  freed_.notify_all();
}

void HubBatches::discard(unsigned index) {
  const std::lock_guard lock(mutex_);
  states_[index] = State::free;
}

void HubBatches::put(const HubBatch& batch) {
  const std::lock_guard lock(mutex_);
  states_[batch.batch.index] = State::waiting;
  waiting_.push_back(batch);
}

bool HubBatches::drained() {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

std::optional<HubBatch> HubBatches::take() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return std::nullopt;
  const HubBatch batch = waiting_.front();
  waiting_.pop_front();
  states_[batch.batch.index] = State::taken;
  return batch;
}

void HubBatches::give_back(unsigned index) {
  const std::lock_guard lock(mutex_);
  if (index >= kHubBatches || states_[index] != State::taken) return;
  states_[index] = State::free;
  freed_.notify_one();
}

}  // namespace vpnd
