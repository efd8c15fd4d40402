// What is done to packets for a path that carries less: the MSS is lowered, IPv4 is cut (clamp_mss, Ipv4Fragments).
#include <algorithm>

#include "icmp.h"
#include "input.h"
#include "ipv4_fragments.h"
#include "mss_clamp.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

void check_clamp(const Bytes& packet, size_t mtu, ChecksumField field) {
  Bytes changed = packet;
  if (!clamp_mss(changed.data(), changed.size(), mtu, field)) {
    EXPECT(changed == packet);
    return;
  }
  // The MSS and, where it is whole, the checksum.
  size_t different = 0;
  for (size_t i = 0; i < packet.size(); i++) different += changed[i] != packet[i];
  EXPECT(different >= 1 && different <= (field == ChecksumField::whole ? 4 : 2));
  Bytes again = changed;
  EXPECT(!clamp_mss(again.data(), again.size(), mtu, field) && again == changed);
}

void check_fragments(const Bytes& packet, size_t mtu) {
  Ipv4Fragments fragments(packet, mtu);
  const size_t header = static_cast<size_t>(packet[0] & 15) * 4;
  Bytes out(mtu);
  size_t payload = 0;
  bool any = false;
  while (const size_t size = fragments.next(out.data())) {
    EXPECT(size <= mtu);
    IpHeader read;
    EXPECT(parse_ip({out.data(), size}, read));
    const size_t own = static_cast<size_t>(out[0] & 15) * 4;
    EXPECT(own <= header && checksum({out.data(), own}) == 0);
    EXPECT(std::equal(out.begin() + static_cast<long>(own), out.begin() + static_cast<long>(size),
                      packet.begin() + static_cast<long>(header + payload)));
    payload += size - own;
    any = true;
  }
  EXPECT(any == fragments.possible());
  if (any) EXPECT(payload == packet.size() - header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  const size_t mtu = in.u16();
  const Bytes packet = copy(in.rest());
  check_clamp(packet, mtu, ChecksumField::whole);
  check_clamp(packet, mtu, ChecksumField::pseudo);
  IpHeader header;
  if (parse_ip(packet, header) && header.version == 4) check_fragments(packet, mtu);
  return 0;
}
