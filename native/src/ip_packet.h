// What the engine needs to know of an inner packet, read with bounds checks.
#pragma once
#include "address.h"
#include "bytes.h"

namespace vpnd {

struct IpHeader {
  Address source;
  Address destination;
  uint8_t version = 0;
  uint8_t protocol = 0;  // IPv6: the first next-header
};

// False when the bytes are not one whole IPv4 (RFC 791) or IPv6 (RFC 8200) packet: wrong version, short or lying lengths.
inline bool parse_ip(View packet, IpHeader& out) {
  if (packet.empty()) return false;
  const uint8_t* p = packet.data();
  switch (p[0] >> 4) {
    case 4: {
      const size_t header = static_cast<size_t>(p[0] & 15) * 4;
      if (packet.size() < 20 || header < 20) return false;
      const size_t total = load16(p + 2);
      if (total != packet.size() || header > total) return false;
      out = {Address::v4(p + 12), Address::v4(p + 16), 4, p[9]};
      return true;
    }
    case 6:
      if (packet.size() < 40 || static_cast<size_t>(load16(p + 4)) + 40 != packet.size()) return false;
      out = {Address::v6(p + 8), Address::v6(p + 24), 6, p[6]};
      return true;
    default:
      return false;
  }
}

}  // namespace vpnd
