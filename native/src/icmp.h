// ICMP errors for packets that no peer takes or that no path carries, so that programs learn it at once instead of waiting.
#pragma once
#include "bytes.h"
#include "ip_packet.h"

namespace vpnd {

// Room for the largest answer: RFC 4443 section 2.4 (c); IPv4 answers end at 576 (RFC 1812 section 4.3.2.3).
inline constexpr size_t kMaxIcmpError = 1280;

// Whether an ICMP error may answer the packet: RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e). Packets to multicast and
// broadcast are the caller's to keep away.
bool may_answer(View packet, const IpHeader& header) noexcept;

// Writes host unreachable (RFC 792) or address unreachable (RFC 4443) to `out` (kMaxIcmpError bytes), from the address that
// the packet was sent to. Returns the size.
size_t make_unreachable(View packet, const IpHeader& header, uint8_t* out) noexcept;

// The same, for a packet larger than `mtu`: fragmentation needed (RFC 1191) or packet too big (RFC 4443). `packet` may be cut off.
size_t make_too_big(View packet, const IpHeader& header, size_t mtu, uint8_t* out) noexcept;

// Internet checksum (RFC 1071) of `data` on top of a partial sum; 0 when `data` includes a right checksum.
uint16_t checksum(View data, uint32_t partial = 0) noexcept;

}  // namespace vpnd
