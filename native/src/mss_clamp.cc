#include "mss_clamp.h"

#include "bytes.h"
#include "ip_protocol.h"

namespace vpnd {

namespace {

constexpr uint8_t kSyn = 2;
constexpr uint8_t kEnd = 0;
constexpr uint8_t kNop = 1;
constexpr uint8_t kMss = 2;

// Where the TCP header of an unfragmented packet or first fragment begins; 0: there is none.
size_t find_tcp_v4(const uint8_t* p, size_t size) {
  if (size < kV4Header || p[9] != kTcp || (load16(p + 6) & 0x1fff) != 0) return 0;
  const size_t at = static_cast<size_t>(p[0] & 15) * 4;
  return at < kV4Header ? 0 : at;
}

// Hop-by-hop, routing, destination options; fragment and authentication headers count differently (RFC 8200, RFC 4302).
size_t find_tcp_v6(const uint8_t* p, size_t size) {
  if (size < kV6Header) return 0;
  uint8_t next = p[6];
  size_t at = kV6Header;
  while (next != kTcp) {
    if (at + 8 > size) return 0;
    const uint8_t* h = p + at;
    switch (next) {
      case 0:
      case 43:
      case 60:
        at += (static_cast<size_t>(h[1]) + 1) * 8;
        break;
      case 44:
        if ((load16(h + 2) & 0xfff8) != 0) return 0;
        at += 8;
        break;
      case 51:
        // Its integrity value covers the TCP header.
      default:
        return 0;
    }
    next = h[0];
  }
  return at;
}

// RFC 1624 equation 3. `odd`: the value lies across two words of the sum.
uint16_t adjusted(uint16_t sum, uint16_t before, uint16_t after, bool odd) {
  const auto word = [odd](uint16_t v) { return odd ? static_cast<uint32_t>(static_cast<uint16_t>(v << 8 | v >> 8)) : uint32_t{v}; };
  uint32_t n = static_cast<uint16_t>(~sum);
  n += 0xffff - word(before);
  n += word(after);
  n = (n & 0xffff) + (n >> 16);
  n = (n & 0xffff) + (n >> 16);
  return static_cast<uint16_t>(~n);
}

}  // namespace

bool clamp_mss(uint8_t* packet, size_t size, size_t mtu, ChecksumField field) noexcept {
  if (size == 0) return false;
  const bool four = packet[0] >> 4 == 4;
  const size_t at = four ? find_tcp_v4(packet, size) : packet[0] >> 4 == 6 ? find_tcp_v6(packet, size) : 0;
  if (at == 0 || at + kTcpHeader > size) return false;
  uint8_t* tcp = packet + at;
  if ((tcp[13] & kSyn) == 0) return false;
  const size_t end = static_cast<size_t>(tcp[12] >> 4) * 4;
  if (end < kTcpHeader || at + end > size) return false;
  const size_t headers = (four ? kV4Header : kV6Header) + kTcpHeader;
  if (mtu <= headers || mtu - headers > 0xffff) return false;
  const auto most = static_cast<uint16_t>(mtu - headers);
  for (size_t i = kTcpHeader; i < end;) {
    if (tcp[i] == kEnd) return false;
    if (tcp[i] == kNop) {
      i++;
      continue;
    }
    if (i + 2 > end) return false;
    const size_t length = tcp[i + 1];
    if (length < 2 || i + length > end) return false;
    if (tcp[i] != kMss) {
      i += length;
      continue;
    }
    if (length != 4) return false;
    const uint16_t before = load16(tcp + i + 2);
    if (before <= most) return false;
    store16(tcp + i + 2, most);
    if (field == ChecksumField::whole) store16(tcp + kTcpChecksum, adjusted(load16(tcp + kTcpChecksum), before, most, i % 2 == 1));
    return true;
  }
  return false;
}

}  // namespace vpnd
