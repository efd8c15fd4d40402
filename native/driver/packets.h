// Inner packets for tests.
#pragma once
#include <string>

#include "bytes.h"

namespace vpnd::driver {

// An IPv4 packet (RFC 791) with a right header checksum, UDP (unless told) as protocol, `number` at the start of its payload
// (16 bytes at least).
Bytes make_packet(const std::string& source, const std::string& destination, size_t size, uint32_t number, uint8_t protocol = 17);

// The number of a packet that make_packet made; UINT32_MAX for others.
uint32_t packet_number(View packet);

}  // namespace vpnd::driver
