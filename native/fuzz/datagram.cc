// Datagrams from the network (Outside): raw, or sealed with the session's key and then perhaps altered. Each one must be counted:
// as a drop with its reason, as a packet, as mail or as an event.
#include "input.h"
#include "outside.h"
#include "world.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

constexpr size_t kMaxInner = 60000;

// What left the packet thread for another one.
uint64_t handed_on(Dataplane& dataplane) {
  uint64_t count = dataplane.events.drain().size();
  Mail mail;
  while (dataplane.control_mail.take(mail)) count += mail.kind == Mail::Kind::control;
  for (Mailbox* box : {&dataplane.handshake_mail, &dataplane.newcomer_mail}) {
    while (box->take(mail)) count += mail.kind == Mail::Kind::dtls;
  }
  return count;
}

Bytes datagram(World& world, uint8_t kind, Input& in) {
  if (kind % 3 == 0) return copy(in.piece());
  const uint16_t at = in.u16();
  const uint8_t change = in.u8();
  const View inner = in.piece();
  Bytes record = world.seal_as_peer(inner.first(std::min(inner.size(), kMaxInner)));
  if (kind % 3 == 2) record[at % record.size()] ^= change;
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  static Outside outside(world.dataplane, world.dataplane.queues[0], 1);
  world.fresh();
  Dataplane& d = world.dataplane;
  const Endpoint elsewhere{*Address::parse("127.0.0.1"), 9};
  Input in(data, size);
  while (!in.empty()) {
    const uint8_t kind = in.u8();
    Bytes bytes = datagram(world, kind, in);
    const uint64_t before = world.plane.dropped() + d.rx.packets.get();
    outside.handle(kind & 0x80 ? elsewhere : world.plane.endpoint, bytes.data(), bytes.size());
    outside.flush();
    EXPECT(world.plane.dropped() + d.rx.packets.get() + handed_on(d) == before + 1);
    while (recv(world.plane.tun_peer, nullptr, 0, MSG_DONTWAIT) >= 0) {
    }
  }
  return 0;
}
