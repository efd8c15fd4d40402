#include "packets.h"

#include <algorithm>

#include "address.h"
#include "icmp.h"

namespace vpnd::driver {

namespace {
constexpr size_t kHeader = 20;
constexpr uint32_t kMarker = 0x76706e64;
}  // namespace

Bytes make_packet(const std::string& source, const std::string& destination, size_t size, uint32_t number, uint8_t protocol) {
  Bytes p(std::max(size, kHeader + 16));
  p[0] = 0x45;
  store16(&p[2], static_cast<uint32_t>(p.size()));
  p[8] = 64;
  p[9] = protocol;
  memcpy(&p[12], Address::parse(source)->bytes.data(), 4);
  memcpy(&p[16], Address::parse(destination)->bytes.data(), 4);
  store16(&p[10], checksum({p.data(), kHeader}));
  store32(&p[kHeader + 8], kMarker);
  store32(&p[kHeader + 12], number);
  return p;
}

uint32_t packet_number(View packet) {
  if (packet.size() < kHeader + 16 || load32(&packet[kHeader + 8]) != kMarker) return UINT32_MAX;
  return load32(&packet[kHeader + 12]);
}

}  // namespace vpnd::driver
