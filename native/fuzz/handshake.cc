// Two engines' handshakes (Handshakes) with an attacker between them, who follows the input: delivers, drops, alters, repeats and
// forges datagrams, while both sides are told to connect, admit, refuse, abort and forget.
#include <optional>

#include "handshakes.h"
#include "input.h"
#include "world.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

constexpr uint32_t kPeer = World::kPeer;
constexpr int kMaxSteps = 96;

Identity identity(uint8_t seed, uint8_t psk, bool badger) {
  Identity id;
  id.badger = badger;
  id.node_seed = Bytes(32, seed);
  id.epochs.push_back(
      {1, Bytes(32, psk), Bytes(32, static_cast<uint8_t>(psk + 100)), Bytes(64, 'a'), Bytes(32, 1), Bytes(64, seed)});
  return id;
}

std::unique_ptr<DtlsContext> context() {
  std::string error;
  auto made = DtlsContext::make(error);
  EXPECT(made);
  return made;
}

struct Side {
  Side(Plane& plane_, uint8_t seed, uint8_t psk, bool badger)
      : plane(plane_), peers(*plane.dataplane, timers, 5000, 15000),
        handshakes(*plane.dataplane, timers, peers, context(), identity(seed, psk, badger)) {
    plane.clear();
    peers.set(kPeer, {*Prefix::parse("10.9.0.0/24")});
    peers.publish_routes();
  }
  ~Side() {
    handshakes.drop_peer(kPeer);
    peers.remove(kPeer, CloseReason::removed);
  }
  // The newest association that waits for a decision.
  void pump() {
    for (const Event& event : plane.dataplane->events.drain()) {
      if (event.type == Event::Type::hello || event.type == Event::Type::foreign) assoc = event.assoc;
      up |= event.type == Event::Type::up;
    }
  }

  Plane& plane;
  Timers timers;
  Peers peers;
  Handshakes handshakes;
  uint32_t assoc = 0;
  bool up = false;
};

// The next datagram on its way to `to`, changed as told.
void deliver(Side& from, Side& to, uint8_t how, Input& in) {
  Bytes datagram;
  if (!to.plane.receive(datagram) || datagram.empty()) return;
  switch (how) {
    case 0:
      return;
    case 1:
      datagram[in.u16() % datagram.size()] ^= in.u8();
      break;
    case 2:
      datagram.resize(in.u16() % datagram.size());
      datagram.shrink_to_fit();
      break;
    case 3:
      to.handshakes.on_datagram(from.plane.endpoint, copy(datagram));
      break;
    default:
      break;
  }
  to.handshakes.on_datagram(from.plane.endpoint, datagram);
}

void command(Side& side, Side& other, uint8_t which, Input& in) {
  switch (which % 8) {
    case 0: return side.handshakes.connect(in.u8(), other.plane.endpoint, 0);
    case 1: return side.handshakes.admit(side.assoc, kPeer);
    case 2: return side.handshakes.refuse(side.assoc, in.u8());
    case 3: return side.handshakes.abort(in.u8());
    case 4: return side.handshakes.drop_peer(kPeer);
    case 5: return side.peers.close(kPeer, CloseReason::removed);
    case 6: return side.handshakes.send_foreign(kPeer, copy(in.piece()));
    default: {
      const Bytes forged = copy(in.piece());
      side.handshakes.on_datagram(other.plane.endpoint, forged);
    }
  }
}

void step(Side& a, Side& b, Input& in) {
  const uint8_t op = in.u8();
  const bool forth = !(op & 0x80);
  if (op & 0x40) command(forth ? a : b, forth ? b : a, op & 7, in);
  else deliver(forth ? a : b, forth ? b : a, op & 7, in);
  a.pump();
  b.pump();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Plane plane_a, plane_b;
  Input in(data, size);
  const uint8_t mode = in.u8();
  const bool same_psk = !(mode & 4);
  Side a(plane_a, 1, 1, mode & 1), b(plane_b, 2, same_psk ? 1 : 2, mode & 2);
  a.handshakes.connect(1, plane_b.endpoint, 0);
  for (int i = 0; i < kMaxSteps && !in.empty(); i++) step(a, b, in);
  EXPECT(same_psk || (!a.up && !b.up));
  return 0;
}
