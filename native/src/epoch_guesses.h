// Which PSK epoch a server takes for a client whose PSK identity does not tell: all clients of a --badger network, and probes.
// A handshake that fails makes the next one from the same place try another epoch. Bounded; forgets everybody when it is full.
#pragma once
#include <unordered_map>

#include "address.h"

namespace vpnd {

class EpochGuesses {
 public:
  // Counted from the preferred epoch, to be taken modulo their number. Goes 0, 1, 1, 2, 2, .. so that it never stays out of step
  // with a client that itself changes its PSK at every try.
  unsigned next(const Endpoint& from) const {
    const auto it = failures_.find(from);
    return it == failures_.end() ? 0 : (it->second + 1) / 2;
  }
  void failed(const Endpoint& from) {
    if (failures_.size() >= kMaxSources && !failures_.contains(from)) failures_.clear();
    failures_[from]++;
  }
  void succeeded(const Endpoint& from) { failures_.erase(from); }
  void clear() { failures_.clear(); }

 private:
  static constexpr size_t kMaxSources = 1024;
  std::unordered_map<Endpoint, unsigned, EndpointHash> failures_;
};

}  // namespace vpnd
