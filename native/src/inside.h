// hot: packets from the TUN to peers. One thread.
#pragma once
#include "icmp.h"
#include "ip_packet.h"
#include "segment.h"
#include "send_batch.h"
#include "token_bucket.h"
#include "vnet_header.h"

namespace vpnd {

class Inside {
 public:
  // `lane`: the thread's own, among those that seal.
  Inside(Dataplane& dataplane, const Queue& queue, unsigned lane);

  enum class Result {
    done,
    // A socket is full: wait until blocked_fd() can be written before the next round.
    blocked,
    // The TUN is gone, and will not come back through this descriptor.
    gone,
  };
  // One batch. Within a Reclaimer section.
  Result round() noexcept;
  int blocked_fd() const { return batch4_.empty() ? batch6_.fd() : batch4_.fd(); }

 private:
  // Largest packet that a TUN gives, and room for what is written behind it for a moment.
  static constexpr size_t kMaxPacket = 65536;

  Result flush() noexcept;
  bool handle(VnetHeader& header, std::span<uint8_t> packet) noexcept;
  // False: there is no room in the batch, and no more is to be read before it has been sent.
  bool send(Peer& peer, std::span<uint8_t> packet) noexcept;
  // The packet is larger than `mtu`: it is cut if it allows that, and refused otherwise.
  bool send_too_big(Peer& peer, std::span<uint8_t> packet, size_t mtu) noexcept;
  bool carry(Peer& peer, std::span<uint8_t> packet) noexcept;
  void send_in_pieces(Peer& peer, std::span<uint8_t> packet) noexcept;
  bool seal(Session& session, const Endpoint& path, Peer& peer, std::span<uint8_t> packet) noexcept;
  void answer_unreachable(View packet, const IpHeader& header) noexcept;

  Dataplane& dataplane_;
  const Queue& queue_;
  const unsigned lane_;
  SendBatch batch4_;
  SendBatch batch6_;
  Segmenter segmenter_;
  TokenBucket icmp_rate_{20, 20};
  TokenBucket too_big_rate_{100, 100};
  TokenBucket unknown_rate_{1000, 1000};
  std::unique_ptr<uint8_t[]> buffer_;
  // Fragments of packets that are larger than the path carries; untouched pages cost nothing.
  std::unique_ptr<uint8_t[]> pieces_;
  uint8_t icmp_[kMaxIcmpError];
};

}  // namespace vpnd
