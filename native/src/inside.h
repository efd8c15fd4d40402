// hot: packets from the TUN to peers. One thread.
#pragma once
#include "icmp.h"
#include "send_batch.h"
#include "token_bucket.h"

namespace vpnd {

class Inside {
 public:
  Inside(Dataplane& dataplane, unsigned lane);

  // One batch. False: the TUN is gone, and will not come back through this descriptor. Within a Reclaimer section.
  bool round() noexcept;

 private:
  uint8_t* slot(unsigned i) const { return buffers_.get() + i * stride_; }
  // Takes the packet at slot(i) + kRecordHeader; `packet` may be cut off if it is larger than the MTU.
  void handle(unsigned i, View packet) noexcept;
  void seal(unsigned i, Peer& peer, size_t size) noexcept;
  void answer_unreachable(View packet, const IpHeader& header) noexcept;

  Dataplane& dataplane_;
  const unsigned lane_;
  const size_t stride_;
  std::unique_ptr<uint8_t[]> buffers_;
  SendBatch batch4_;
  SendBatch batch6_;
  TokenBucket icmp_rate_{20, 20};
  TokenBucket unknown_rate_{1000, 1000};
  uint8_t icmp_[kMaxIcmpError];
};

}  // namespace vpnd
