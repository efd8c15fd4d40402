// Packets between the clients of a shared device in tests, and the addresses of these.
#pragma once
#include <string>

#include "tcp_udp_packets.h"

namespace vpnd::test {

// Between 10.9.0.FROM and 10.9.0.TO, or fd00::FROM and fd00::TO.
inline Bytes between(uint32_t from, uint32_t to, bool six, uint8_t mark = 0, size_t size = 30) {
  PacketSpec spec;
  spec.udp = true;
  spec.six = six;
  spec.host = static_cast<uint8_t>(from);
  spec.payload.assign(size, mark);
  Bytes packet = build(spec);
  packet[six ? 39 : 19] = static_cast<uint8_t>(to);
  return packet;
}

inline std::vector<Prefix> addresses_of(uint32_t id) {
  return {*Prefix::parse("10.9.0." + std::to_string(id)), *Prefix::parse("fd00::" + std::to_string(id))};
}

}  // namespace vpnd::test
