// Any packet with an address in it replaced: nothing but the address and checksums changes, and replaced back it is as before. Of the
// two zeros that a checksum knows either may come back.
#include "source_nat.h"

#include <algorithm>

#include "input.h"

using namespace vpnd;
using namespace vpnd::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  const uint8_t how = in.u8();
  VnetHeader header;
  if (how & 1) header = {.flags = VnetHeader::kNeedsChecksum, .checksum_start = in.u8(), .checksum_offset = in.u8()};
  const Side side = how & 2 ? Side::source : Side::destination;
  const View random = in.piece();
  Bytes packet = copy(in.rest());
  IpHeader ip;
  if (!parse_ip(packet, ip)) return 0;
  const Address from = side == Side::source ? ip.source : ip.destination;
  Address to = from;
  for (size_t i = 0; i < std::min<size_t>(random.size(), to.bits() / 8); i++) to.bytes[i] = random[i];
  const Bytes before = packet;
  if (!replace_address(packet, header, side, from, to)) {
    EXPECT(packet == before);
    return 0;
  }
  IpHeader after;
  EXPECT(parse_ip(packet, after) && (side == Side::source ? after.source : after.destination) == to);
  EXPECT((side == Side::source ? after.destination : after.source) == (side == Side::source ? ip.destination : ip.source));
  EXPECT(replace_address(packet, header, side, to, from));
  // A quoted packet that had `to` in it already has `from` now.
  const auto twice = std::search(before.begin() + 20, before.end(), to.bytes.begin(), to.bytes.begin() + to.bits() / 8);
  if (from == to || twice != before.end()) return 0;
  for (size_t i = 0; i + 1 < packet.size(); i += 2) {
    const uint16_t was = load16(&before[i]), is = load16(&packet[i]);
    EXPECT(was == is || (was % 0xffff == 0 && is % 0xffff == 0));
  }
  return 0;
}
