#include "super_packet.h"

#include <bit>

#include "checksum.h"
#include "coalesce.h"
#include "ip_protocol.h"

namespace vpnd {

namespace {

constexpr uint8_t kSyn = 0x02, kReset = 0x04, kUrgent = 0x20, kCwr = 0x80;

void little_endian(VnetHeader& header) noexcept {
  if constexpr (std::endian::native == std::endian::big) {
    for (uint16_t* field : {&header.header_length, &header.gso_size, &header.checksum_start, &header.checksum_offset}) {
      *field = __builtin_bswap16(*field);
    }
  }
}

}  // namespace

VnetHeader load_vnet(const uint8_t* bytes) noexcept {
  VnetHeader header;
  memcpy(&header, bytes, sizeof header);
  little_endian(header);
  return header;
}

void store_vnet(uint8_t* bytes, const VnetHeader& header) noexcept {
  VnetHeader copy = header;
  little_endian(copy);
  memcpy(bytes, &copy, sizeof copy);
}

size_t repeated_headers(const VnetHeader& header, View packet) noexcept {
  if (header.gso_type == VnetHeader::kGsoNone || !(header.flags & VnetHeader::kNeedsChecksum)) return 0;
  const size_t transport = header.checksum_start;
  if (header.gso_type == VnetHeader::kGsoUdp) return transport + 8;
  return transport + (packet[transport + 12] >> 4) * size_t{4};
}

bool kernel_takes(const TunOffloads& offloads, const VnetHeader& header, View packet, size_t count, size_t max_packet,
                  VnetHeader& out) noexcept {
  const bool udp = header.gso_type == VnetHeader::kGsoUdp;
  if (count < 2 || !(udp ? offloads.uso : offloads.tso) || !(header.flags & VnetHeader::kNeedsChecksum)) return false;
  if (udp ? count > Coalescer::kMaxDatagrams : header.gso_type != VnetHeader::kGsoTcp4 && header.gso_type != VnetHeader::kGsoTcp6) {
    return false;
  }
  const uint8_t* ip = packet.data();
  const size_t transport = header.checksum_start;
  // No options, no extension headers.
  if (ip[0] >> 4 == 4 ? ip[0] != 0x45 || transport != 20 : transport != 40) return false;
  const size_t headers = repeated_headers(header, packet);
  if (headers + header.gso_size > max_packet) return false;
  const uint32_t length = static_cast<uint32_t>(packet.size() - transport);
  const uint16_t field = udp ? kUdpChecksum : kTcpChecksum;
  const uint8_t* p = ip + transport;
  if (udp ? load16(p + 4) != length : (p[13] & (kSyn | kReset | kUrgent | kCwr)) != 0) return false;
  // Both zeros are the same sum.
  const uint16_t asked = fold_sum(sum_at(p + field)), right = fold_sum(pseudo_sum(ip, udp ? kUdp : kTcp) + sum_word(length));
  if (asked != right && (asked % 0xffff != 0 || right % 0xffff != 0)) return false;
  out = {
      .flags = VnetHeader::kNeedsChecksum,
      .gso_type = header.gso_type,
      .header_length = static_cast<uint16_t>(headers),
      .gso_size = header.gso_size,
      .checksum_start = static_cast<uint16_t>(transport),
      .checksum_offset = field,
  };
  return true;
}

}  // namespace vpnd
