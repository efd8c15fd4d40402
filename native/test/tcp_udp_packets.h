// TCP and UDP packets for the tests of splitting and merging, made and checked with plain code of their own.
#pragma once
#include <optional>

#include "bytes.h"
#include "vnet_header.h"

namespace vpnd::test {

struct PacketSpec {
  bool six = false;
  bool udp = false;
  uint8_t tos = 0;
  uint8_t ttl = 64;
  uint16_t id = 0;
  bool dont_fragment = true;
  Bytes ip_options = {};  // IPv4: options; IPv6: extension headers, each beginning with the type of the next
  uint8_t first_extension = 0;  // the type of the first, when there are any
  uint8_t host = 1;             // last byte of the source
  std::optional<uint8_t> last_host = {};  // last byte of the destination behind a routing header
  uint16_t from = 40000, to = 443;
  uint32_t sequence = 1000, acknowledgement = 77;
  uint8_t flags = 0x10;
  uint16_t window = 500;
  Bytes tcp_options = {};
  Bytes payload = {};
};

// Of 16-bit words, big-endian; not folded.
uint64_t plain_sum(View data);

// A whole packet with right checksums.
Bytes build(const PacketSpec& spec);

// The same as the kernel gives it to be split: with the sum of the pseudo-header in the checksum's place.
struct Super {
  VnetHeader header;
  Bytes packet;
};
Super build_super(const PacketSpec& spec, uint16_t gso_size);

// What has to come out when it is split, in pieces of `segment` bytes.
std::vector<Bytes> split_plainly(const PacketSpec& spec, size_t segment);

// Lengths and checksums of an IP packet with TCP or UDP, behind any extension headers but routing.
bool is_right(View packet);

// Where TCP or UDP begins, and their payload; 0 when the packet has none.
struct Layout {
  uint8_t protocol = 0;
  size_t transport = 0;
  size_t payload = 0;
};
Layout layout(View packet);

Bytes random_bytes(size_t size);
// A random number from low to high.
size_t pick(size_t low, size_t high);

}  // namespace vpnd::test
