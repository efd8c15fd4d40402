// What a target needs around the code under test: a dataplane with a TUN and a UDP socket that lead nowhere, one peer with one
// session whose keys are known. Lives as long as the process; fresh() before each input.
#pragma once
#include "dataplane.h"
#include "peers.h"

namespace vpnd::fuzz {

// The dataplane alone. Its packets come out at `tun_peer`, datagrams at `socket`.
struct Plane {
  Plane();
  int tun_peer = -1;
  Endpoint endpoint;  // of the socket
  std::unique_ptr<Dataplane> dataplane;

  uint64_t dropped() const;
  // The next datagram that arrived at the socket.
  bool receive(Bytes& out);
  void clear();
};

class World {
 public:
  static constexpr uint32_t kPeer = 7;
  static constexpr uint32_t kIndex = 0x01000000;
  // 10.9.0.2 and fd00::2 are the peer's.
  World();
  // A new session, and nothing left of the input before.
  void fresh();

  Plane plane;
  Dataplane& dataplane;
  Timers timers;
  std::unique_ptr<Peers> peers;
  Session* session = nullptr;
  // A record as the peer would send it next.
  Bytes seal_as_peer(View inner);
  // What the engine sent to the peer; empty when it is no record of the session.
  Bytes open_as_peer(Bytes record);

 private:
  Session remote_;
};

}  // namespace vpnd::fuzz
