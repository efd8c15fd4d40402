// Control messages of a peer with a session (Peers), with moves between addresses in between.
#include "input.h"
#include "world.h"

using namespace vpnd;
using namespace vpnd::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  world.fresh();
  Peers& peers = *world.peers;
  const Endpoint elsewhere{*Address::parse("127.0.0.1"), 9};
  Input in(data, size);
  while (!in.empty()) {
    const uint8_t kind = in.u8();
    const Endpoint& from = kind & 0x80 ? elsewhere : world.plane.endpoint;
    switch (kind % 8) {
      case 0:
        peers.on_roam({Mail::Kind::roam, from, World::kIndex, 0, {}});
        break;
      case 1:
        peers.ping(World::kPeer, in.u8());
        break;
      case 2: {
        // An answer with the right token: PING and PATH-CHALLENGE come back as PONG and PATH-RESPONSE.
        Bytes record;
        if (!world.plane.receive(record)) break;
        Bytes message = world.open_as_peer(record);
        if (message.size() == 9) message[0]++;
        peers.on_control({Mail::Kind::control, from, World::kIndex, 0, message});
        break;
      }
      case 3:
        peers.close(World::kPeer, CloseReason::removed);
        break;
      default: {
        const Bytes message = copy(in.piece());
        peers.on_control({Mail::Kind::control, from, kind & 0x40 ? load32(Bytes(4, kind).data()) : World::kIndex, 0, message});
      }
    }
    EXPECT(peers.find(World::kPeer) != nullptr);
    peers.info(World::kPeer);
  }
  return 0;
}
