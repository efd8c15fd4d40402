// hot: Splits what one read of a TUN with vnet headers gave into IP packets of ordinary size. No I/O, no allocation.
#pragma once
#include <array>

#include "bytes.h"
#include "vnet_header.h"

namespace vpnd {

// Use: begin, then next until it is empty. Each packet's headers are built in place in front of its payload, so that no payload
// is copied: a call of next overwrites the end of the packet returned before.
class Segmenter {
 public:
  static constexpr size_t kMaxHeaders = 512;  // IP with extensions and transport
  static constexpr size_t kMinTcpSegment = 8;  // Linux never cuts smaller ones

  // `packet`: the inner packet without the vnet header. max_packet: bytes of the largest packet wanted; TCP segments are made
  // smaller than gso_size to fit, what may not be cut (one packet, datagrams) is returned as large as it is.
  // False: the header and the packet do not belong together, or max_packet leaves no room behind TCP's headers.
  // Checksums that the header asks for are completed. Every length is checked against the bytes; header_length is not looked at.
  bool begin(const VnetHeader& header, std::span<uint8_t> packet, size_t max_packet) noexcept;

  // The next IP packet, in order of its bytes, or empty at the end. Valid until the next call; the one byte behind it may be
  // changed and must be put back before that.
  std::span<uint8_t> next() noexcept;

  // How many packets next returns in all.
  size_t count() const noexcept { return count_; }

 private:
  bool begin_single(const VnetHeader& header) noexcept;
  bool find_transport(uint8_t protocol) noexcept;
  void prepare() noexcept;
  void write_ip(uint8_t* ip, size_t size) const noexcept;
  void write_tcp(uint8_t* tcp, View payload) const noexcept;
  void write_udp(uint8_t* udp, View payload) const noexcept;

  std::span<uint8_t> packet_;
  size_t count_ = 0;
  size_t index_ = 0;
  size_t transport_ = 0;  // where TCP or UDP begins
  size_t headers_ = 0;    // where the payload begins
  size_t segment_ = 0;    // payload of each packet; 0: the packet goes as it is
  bool tcp_ = false;
  bool routed_ = false;   // has a routing header: its destination is not that of the pseudo-header
  uint32_t sequence_ = 0;
  uint16_t id_ = 0;
  uint8_t tcp_flags_ = 0;
  uint64_t ip_sum_ = 0;         // IPv4 header without length and id
  uint64_t transport_sum_ = 0;  // pseudo-header and transport header without what differs
  std::array<uint8_t, kMaxHeaders> template_;
};

}  // namespace vpnd
