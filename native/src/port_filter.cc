#include "port_filter.h"

#include <optional>

#include "clock.h"

namespace vpnd {

namespace {

constexpr size_t kAddresses = 12;
constexpr uint16_t kVlan = 0x8100, kServiceVlan = 0x88a8, kIpv4 = 0x0800, kIpv6 = 0x86dd;

// The IP packet in a frame, without what pads it; empty when it lies about its length. Nothing: there is no IP in it.
std::optional<View> packet_of(View frame) noexcept {
  size_t at = kAddresses;
  for (int tags = 0; at + 2 <= frame.size(); tags++) {
    const uint16_t type = load16(frame.data() + at);
    at += 2;
    if (tags < 2 && (type == kVlan || type == kServiceVlan)) {
      at += 2;
      continue;
    }
    if (type != kIpv4 && type != kIpv6) return std::nullopt;
    const View ip = frame.subspan(at);
    const size_t header = type == kIpv4 ? 20 : 40;
    if (ip.size() < header) return View{};
    const size_t size = type == kIpv4 ? load16(ip.data() + 2) : load16(ip.data() + 4) + header;
    return size <= ip.size() ? ip.first(size) : View{};
  }
  return std::nullopt;
}

// The ARP of IPv6 (RFC 4861), which only a neighbour can send.
bool is_neighbour_discovery(View packet, const IpHeader& ip) noexcept {
  constexpr uint8_t kSolicitation = 135, kAdvertisement = 136, kHops = 255;
  if (ip.version != 6 || ip.protocol != kIcmpV6 || packet.size() <= 40 || packet[7] != kHops) return false;
  return packet[40] == kSolicitation || packet[40] == kAdvertisement;
}

}  // namespace

bool may_come_in(const Filter& filter, PortItems items, View item) noexcept {
  IpHeader ip;
  if (items != PortItems::frames) return parse_ip(item, ip) && filter.passes(item, ip, nullptr, coarse_ms());
  const std::optional<View> packet = packet_of(item);
  if (!packet) return true;
  return parse_ip(*packet, ip) && (is_neighbour_discovery(*packet, ip) || filter.passes(*packet, ip, nullptr, coarse_ms()));
}

void remember_sent(const Filter& filter, PortItems items, View item) noexcept {
  IpHeader ip;
  const std::optional<View> packet = items == PortItems::frames ? packet_of(item) : item;
  if (packet && parse_ip(*packet, ip)) filter.sent(*packet, ip, nullptr, coarse_ms());
}

}  // namespace vpnd
