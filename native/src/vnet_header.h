// What a TUN with IFF_VNET_HDR puts before each packet: struct virtio_net_hdr of <linux/virtio_net.h>, which C++ cannot include.
// The numbers are in the machine's byte order.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vpnd {

struct VnetHeader {
  static constexpr uint8_t kNeedsChecksum = 1;  // from checksum_start to the end, into checksum_start + checksum_offset

  static constexpr uint8_t kGsoNone = 0;
  static constexpr uint8_t kGsoTcp4 = 1;
  static constexpr uint8_t kGsoTcp6 = 4;
  static constexpr uint8_t kGsoUdp = 5;     // datagrams of their own (UDP_L4), not IP fragments
  static constexpr uint8_t kGsoEcn = 0x80;  // a bit beside the type: TCP's CWR is set

  uint8_t flags = 0;
  uint8_t gso_type = kGsoNone;
  uint16_t header_length = 0;  // a hint
  uint16_t gso_size = 0;       // payload of each segment, but the last may have less
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
};
static_assert(sizeof(VnetHeader) == 10 && offsetof(VnetHeader, checksum_offset) == 8);

}  // namespace vpnd
