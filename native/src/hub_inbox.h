// hot: Packets for a hub's clients that the threads of other hubs read: the kernel does not know whose client is where.
#pragma once
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "bytes.h"
#include "vnet_header.h"

namespace vpnd {

class HubInbox {
 public:
  // Bytes, with what each packet costs besides: as many of the largest packets as come before the hub's thread has its turn.
  static constexpr size_t kMost = 4 << 20;
  static constexpr size_t kOverhead = 64;

  // wake: has the hub's thread call take_all() soon.
  explicit HubInbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  struct Packet {
    uint32_t client;
    VnetHeader header;
    size_t from, size;  // in `bytes`
  };
  struct Packets {
    std::vector<Packet> all;
    Bytes bytes;
    View of(const Packet& packet) const { return View(bytes).subspan(packet.from, packet.size); }
  };

  // Any thread. False: there is no room.
  bool put(uint32_t client, const VnetHeader& header, View packet) {
    bool first;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.bytes.size() + packet.size() + (waiting_.all.size() + 1) * kOverhead > kMost) return false;
      first = waiting_.all.empty();
      waiting_.all.push_back({client, header, waiting_.bytes.size(), packet.size()});
      waiting_.bytes.insert(waiting_.bytes.end(), packet.begin(), packet.end());
    }
    if (first) wake_();
    return true;
  }

  // The hub's thread. What came since the call before, in its order; good until the next call.
  const Packets& take_all() {
    taken_.all.clear();
    taken_.bytes.clear();
    const std::lock_guard lock(mutex_);
    std::swap(taken_, waiting_);
    return taken_;
  }

 private:
  const std::function<void()> wake_;
  std::mutex mutex_;
  Packets waiting_;
  Packets taken_;  // the hub's thread's; both keep their memory
};

}  // namespace vpnd
