#include "icmp.h"

#include <algorithm>

#include "ip_protocol.h"

namespace vpnd {

namespace {

constexpr size_t kIcmpHeader = 8;
constexpr uint8_t kTtl = 64;

bool may_answer_v4(View packet, const IpHeader& header) {
  const uint8_t* p = packet.data();
  const uint8_t first = header.source.bytes[0];
  // 0.0.0.0/8, loopback, multicast, class E with the broadcast address: no single host.
  if (first == 0 || first == 127 || first >= 224) return false;
  if ((load16(p + 6) & 0x1fff) != 0) return false;  // not the first fragment
  if (header.protocol != kIcmp) return true;
  const size_t at = static_cast<size_t>(p[0] & 15) * 4;
  if (at >= packet.size()) return false;
  const uint8_t type = p[at];
  return type != 3 && type != 4 && type != 5 && type != 11 && type != 12;
}

// Passes extension headers: RFC 8200 section 4.
bool may_answer_v6(View packet, const IpHeader& header) {
  if (header.source.bytes[0] == 0xff || header.source == Address::v6(Address{}.bytes.data())) return false;
  uint8_t next = header.protocol;
  size_t at = kV6Header;
  while (at + 8 <= packet.size()) {
    const uint8_t* p = packet.data() + at;
    if (next == kIcmpV6) return p[0] >= 128 && p[0] != 137;  // 137: redirect
    if (next == 44) {
      if ((load16(p + 2) & 0xfff8) != 0) return false;
      at += 8;
    } else if (next == 0 || next == 43 || next == 60) {
      at += (static_cast<size_t>(p[1]) + 1) * 8;
    } else {
      return true;
    }
    next = p[0];
  }
  // Too short for a header that could be judged: fine for what has no header (59), silent for an ICMPv6 that is cut off.
  return next != kIcmpV6 && next != 44 && next != 0 && next != 43 && next != 60;
}

uint32_t partial_sum(View data) {
  uint32_t sum = 0;
  size_t i = 0;
  for (; i + 1 < data.size(); i += 2) sum += load16(data.data() + i);
  if (i < data.size()) sum += static_cast<uint32_t>(data[i]) << 8;
  return sum;
}

// The first eight bytes of the ICMP message, without its checksum.
struct Start {
  uint8_t type;
  uint8_t code;
  uint32_t rest;
};

size_t error_v4(Start start, View packet, const IpHeader& header, uint8_t* out) {
  const size_t quoted = std::min(packet.size(), size_t{576} - kV4Header - kIcmpHeader);
  const size_t size = kV4Header + kIcmpHeader + quoted;
  memset(out, 0, kV4Header + kIcmpHeader);
  out[0] = 0x45;
  out[1] = 0xc0;  // internetwork control: RFC 1812 section 4.3.2.5
  store16(out + 2, static_cast<uint32_t>(size));
  out[8] = kTtl;
  out[9] = kIcmp;
  memcpy(out + 12, header.destination.bytes.data(), 4);
  memcpy(out + 16, header.source.bytes.data(), 4);
  store16(out + 10, checksum({out, kV4Header}));
  uint8_t* icmp = out + kV4Header;
  icmp[0] = start.type;
  icmp[1] = start.code;
  store32(icmp + 4, start.rest);
  memcpy(icmp + kIcmpHeader, packet.data(), quoted);
  store16(icmp + 2, checksum({icmp, kIcmpHeader + quoted}));
  return size;
}

size_t error_v6(Start start, View packet, const IpHeader& header, uint8_t* out) {
  const size_t quoted = std::min(packet.size(), kMaxIcmpError - kV6Header - kIcmpHeader);
  const size_t payload = kIcmpHeader + quoted;
  memset(out, 0, kV6Header + kIcmpHeader);
  out[0] = 0x60;
  store16(out + 4, static_cast<uint32_t>(payload));
  out[6] = kIcmpV6;
  out[7] = kTtl;
  memcpy(out + 8, header.destination.bytes.data(), 16);
  memcpy(out + 24, header.source.bytes.data(), 16);
  uint8_t* icmp = out + kV6Header;
  icmp[0] = start.type;
  icmp[1] = start.code;
  store32(icmp + 4, start.rest);
  memcpy(icmp + kIcmpHeader, packet.data(), quoted);
  // Pseudo-header: both addresses, payload length, next header (RFC 8200 section 8.1).
  const uint32_t pseudo = partial_sum({out + 8, 32}) + static_cast<uint32_t>(payload) + kIcmpV6;
  store16(icmp + 2, checksum({icmp, payload}, pseudo));
  return kV6Header + payload;
}

}  // namespace

uint16_t checksum(View data, uint32_t partial) noexcept {
  uint32_t sum = partial + partial_sum(data);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

bool may_answer(View packet, const IpHeader& header) noexcept {
  return header.version == 4 ? may_answer_v4(packet, header) : may_answer_v6(packet, header);
}

size_t make_unreachable(View packet, const IpHeader& header, uint8_t* out) noexcept {
  return header.version == 4 ? error_v4({3, 1, 0}, packet, header, out) : error_v6({1, 3, 0}, packet, header, out);
}

size_t make_too_big(View packet, const IpHeader& header, size_t mtu, uint8_t* out) noexcept {
  const auto next_hop = static_cast<uint32_t>(std::min<size_t>(mtu, 0xffff));
  return header.version == 4 ? error_v4({3, 4, next_hop}, packet, header, out) : error_v6({2, 0, next_hop}, packet, header, out);
}

}  // namespace vpnd
