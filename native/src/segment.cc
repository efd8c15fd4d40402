#include "segment.h"

#include <algorithm>

#include "checksum.h"
#include "ip_protocol.h"

namespace vpnd {

namespace {

constexpr uint8_t kHopByHop = 0, kRouting = 43, kDestination = 60;
constexpr uint8_t kFin = 0x01, kPush = 0x08, kCwr = 0x80;

// The lengths in the IP header are those of the bytes.
bool is_whole(View packet) noexcept {
  if (packet.size() < 20) return false;
  if (packet[0] >> 4 == 4) return (packet[0] & 15) >= 5 && load16(&packet[2]) == packet.size() && (packet[0] & 15) * 4u <= packet.size();
  return packet[0] >> 4 == 6 && packet.size() >= 40 && load16(&packet[4]) + size_t{40} == packet.size();
}

}  // namespace

bool Segmenter::begin(const VnetHeader& header, std::span<uint8_t> packet, size_t max_packet) noexcept {
  packet_ = packet;
  count_ = index_ = segment_ = 0;
  if (!is_whole(packet)) return false;
  const uint8_t type = header.gso_type & static_cast<uint8_t>(~VnetHeader::kGsoEcn);
  if (type == VnetHeader::kGsoNone) return begin_single(header);
  tcp_ = type == VnetHeader::kGsoTcp4 || type == VnetHeader::kGsoTcp6;
  if (!tcp_ && type != VnetHeader::kGsoUdp) return false;
  if (tcp_ && packet[0] >> 4 != (type == VnetHeader::kGsoTcp4 ? 4 : 6)) return false;
  if (!find_transport(tcp_ ? kTcp : kUdp)) return false;
  const bool partial = (header.flags & VnetHeader::kNeedsChecksum) != 0;
  if (partial && (header.checksum_start != transport_ || header.checksum_offset != (tcp_ ? kTcpChecksum : kUdpChecksum))) return false;
  // With a routing header only the kernel's own sum knows the last destination.
  if (routed_ && !partial) return false;

  size_t segment = header.gso_size;
  if (tcp_) {
    segment = std::min(segment, max_packet > headers_ ? max_packet - headers_ : 0);
    if (segment < kMinTcpSegment) return false;
  }
  if (segment == 0) return false;
  segment_ = segment;
  const size_t payload = packet.size() - headers_;
  count_ = payload == 0 ? 1 : (payload + segment - 1) / segment;
  prepare();
  return true;
}

bool Segmenter::begin_single(const VnetHeader& header) noexcept {
  if (header.flags & VnetHeader::kNeedsChecksum) {
    const size_t start = header.checksum_start, field = start + header.checksum_offset;
    const size_t ip = packet_[0] >> 4 == 4 ? (packet_[0] & 15) * size_t{4} : 40;
    if (start < ip || field + 2 > packet_.size()) return false;
    // The field holds the pseudo-header's sum. Zero would say "none" in UDP, and elsewhere both zeros are the same.
    write_nonzero_checksum(&packet_[field], sum_bytes(View(packet_).subspan(start)));
  }
  count_ = 1;
  return true;
}

// Sets transport_, headers_ and routed_.
bool Segmenter::find_transport(uint8_t protocol) noexcept {
  const uint8_t* p = packet_.data();
  routed_ = false;
  if (p[0] >> 4 == 4) {
    if (p[9] != protocol || (load16(p + 6) & 0x3fff) != 0) return false;
    transport_ = (p[0] & 15) * size_t{4};
  } else {
    uint8_t next = p[6];
    transport_ = 40;
    while (next == kHopByHop || next == kRouting || next == kDestination) {
      if (transport_ + 8 > packet_.size()) return false;
      routed_ |= next == kRouting;
      next = p[transport_];
      transport_ += (p[transport_ + 1] + size_t{1}) * 8;
    }
    if (next != protocol) return false;
  }
  if (transport_ + (tcp_ ? kTcpHeader : kUdpHeader) > packet_.size()) return false;
  const size_t length = tcp_ ? (p[transport_ + 12] >> 4) * size_t{4} : kUdpHeader;
  headers_ = transport_ + length;
  return (!tcp_ || length >= kTcpHeader) && headers_ <= packet_.size() && headers_ <= kMaxHeaders;
}

// Keeps the headers, with zero where packets differ, and what they add to the checksums.
void Segmenter::prepare() noexcept {
  uint8_t* ip = template_.data();
  uint8_t* transport = ip + transport_;
  memcpy(ip, packet_.data(), headers_);
  const size_t field = tcp_ ? kTcpChecksum : kUdpChecksum;
  const uint64_t asked = sum_at(transport + field) + sum_without(sum_word(static_cast<uint32_t>(packet_.size() - transport_)));
  transport_sum_ = routed_ ? asked : pseudo_sum(ip, tcp_ ? kTcp : kUdp);
  store16(transport + field, 0);
  if (tcp_) {
    sequence_ = load32(transport + 4);
    tcp_flags_ = transport[13];
    store32(transport + 4, 0);
    transport[13] = 0;
  } else {
    store16(transport + 4, 0);
  }
  transport_sum_ += sum_bytes({transport, headers_ - transport_});
  if (ip[0] >> 4 != 4) return;
  id_ = load16(ip + 4);
  store32(ip + 2, 0);  // length and id
  store16(ip + 10, 0);
  ip_sum_ = sum_bytes({ip, transport_});
}

std::span<uint8_t> Segmenter::next() noexcept {
  if (index_ == count_) return {};
  if (segment_ == 0) {
    index_++;
    return packet_;
  }
  const size_t from = headers_ + index_ * segment_;
  const View payload = View(packet_).subspan(from, std::min(segment_, packet_.size() - from));
  uint8_t* ip = packet_.data() + from - headers_;
  const size_t size = headers_ + payload.size();
  memcpy(ip, template_.data(), headers_);
  write_ip(ip, size);
  if (tcp_) write_tcp(ip + transport_, payload);
  else write_udp(ip + transport_, payload);
  index_++;
  return {ip, size};
}

void Segmenter::write_ip(uint8_t* ip, size_t size) const noexcept {
  if (ip[0] >> 4 != 4) return store16(ip + 4, static_cast<uint32_t>(size - 40));
  const uint32_t length = static_cast<uint32_t>(size), id = static_cast<uint16_t>(id_ + index_);
  store16(ip + 2, length);
  store16(ip + 4, id);
  write_checksum(ip + 10, ip_sum_ + sum_word(length) + sum_word(id));
}

void Segmenter::write_tcp(uint8_t* tcp, View payload) const noexcept {
  const uint32_t sequence = sequence_ + static_cast<uint32_t>(index_ * segment_);
  uint8_t flags = tcp_flags_;
  if (index_ + 1 < count_) flags &= static_cast<uint8_t>(~(kFin | kPush));
  if (index_ > 0) flags &= static_cast<uint8_t>(~kCwr);
  store32(tcp + 4, sequence);
  tcp[13] = flags;
  const uint32_t length = static_cast<uint32_t>(headers_ - transport_ + payload.size());
  write_checksum(tcp + kTcpChecksum, transport_sum_ + sum_dword(sequence) + sum_word(flags) + sum_word(length) + sum_bytes(payload));
}

void Segmenter::write_udp(uint8_t* udp, View payload) const noexcept {
  const uint32_t length = static_cast<uint32_t>(kUdpHeader + payload.size());
  store16(udp + 4, length);
  // The length counts twice: in the header and in the pseudo-header.
  write_nonzero_checksum(udp + kUdpChecksum, transport_sum_ + 2 * sum_word(length) + sum_bytes(payload));
}

}  // namespace vpnd
