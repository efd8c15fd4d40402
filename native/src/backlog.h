// What waits for a client that takes nothing now, where it has no device whose queue would keep it.
#pragma once
#include <deque>

#include "bytes.h"
#include "vnet_header.h"

namespace vpnd {

class Backlog {
 public:
  // Bytes, with what each packet costs besides. A dozen of the largest packets, so that TCP sees a queue and not only drops.
  static constexpr size_t kMost = 1 << 20;
  static constexpr size_t kOverhead = 64;

  struct Waiting {
    VnetHeader header;
    Bytes packet;
  };

  bool empty() const { return waiting_.empty(); }
  // False: there is no room.
  bool add(const VnetHeader& header, View packet) {
    if (size_ + packet.size() + kOverhead > kMost) return false;
    size_ += packet.size() + kOverhead;
    waiting_.push_back({header, Bytes(packet.begin(), packet.end())});
    return true;
  }
  const Waiting& oldest() const { return waiting_.front(); }
  void remove_oldest() {
    size_ -= oldest().packet.size() + kOverhead;
    waiting_.pop_front();
  }
  // Returns how many packets there were.
  size_t clear() {
    const size_t count = waiting_.size();
    waiting_ = {};
    size_ = 0;
    return count;
  }

 private:
  std::deque<Waiting> waiting_;
  size_t size_ = 0;
};

}  // namespace vpnd
