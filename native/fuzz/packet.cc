// Packets from this machine (Inside): IP headers, routing and the ICMP errors for what goes nowhere.
#include "icmp.h"
#include "input.h"
#include "inside.h"
#include "world.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

void check_answer(View packet, const IpHeader& header) {
  uint8_t answer[kMaxIcmpError];
  const size_t size = make_unreachable(packet, header, answer);
  EXPECT(size > 0 && size <= kMaxIcmpError);
  EXPECT(make_too_big(packet, header, 1300, answer) == size);
  IpHeader read;
  EXPECT(parse_ip({answer, size}, read) && read.version == header.version && read.source == header.destination &&
         read.destination == header.source);
  if (read.version == 4) EXPECT(checksum({answer, 20}) == 0 && checksum({answer + 20, size - 20}) == 0);
  // Nobody answers an error with an error.
  EXPECT(!may_answer({answer, size}, read));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  static Inside inside(world.dataplane, world.dataplane.queues[0], 1);
  world.fresh();
  Dataplane& d = world.dataplane;
  Input in(data, size);
  while (!in.empty()) {
    const Bytes packet = copy(in.piece());
    IpHeader header;
    const bool whole = parse_ip(packet, header);
    if (whole && may_answer(packet, header)) check_answer(packet, header);
    if (packet.empty()) continue;
    const uint64_t before = world.plane.dropped() + d.tx.packets.get();
    EXPECT(send(world.plane.tun_peer, packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()));
    // An empty datagram is this TUN's end, so the state of the device says nothing here.
    inside.round();
    // One that is larger than the MTU may leave in several fragments.
    const uint64_t after = world.plane.dropped() + d.tx.packets.get();
    EXPECT(after == before + 1 || (whole && header.version == 4 && packet.size() > d.mtu && after > before + 1));
    while (recv(world.plane.tun_peer, nullptr, 0, MSG_DONTWAIT) >= 0) {
    }
  }
  return 0;
}
