// Which addresses packets were dropped for because no peer has them: the latest 64, for people who look for a typing error.
#pragma once
#include <mutex>
#include <utility>
#include <vector>

#include "address.h"

namespace vpnd {

class UnknownDestinations {
 public:
  void add(const Address& address) {
    const std::lock_guard lock(mutex_);
    for (auto& [known, packets] : list_) {
      if (known == address) {
        packets++;
        return;
      }
    }
    if (list_.size() == kMax) list_.erase(list_.begin());
    list_.emplace_back(address, 1);
  }
  std::vector<std::pair<Address, uint64_t>> list() const {
    const std::lock_guard lock(mutex_);
    return list_;
  }

 private:
  static constexpr size_t kMax = 64;
  mutable std::mutex mutex_;
  std::vector<std::pair<Address, uint64_t>> list_;
};

}  // namespace vpnd
