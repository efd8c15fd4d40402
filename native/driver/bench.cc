#include "bench.h"

#include <cstdio>

#include "clock.h"
#include "node.h"
#include "packets.h"

namespace vpnd::driver {

int bench(unsigned packets) {
  Node a({.seed = 1});
  Node b({.seed = 2});
  a.engine().set_peer(Node::kPeer, {*Prefix::parse("10.9.0.2")});
  b.engine().set_peer(Node::kPeer, {*Prefix::parse("10.9.0.1")});
  a.engine().connect(1, b.endpoint());
  const auto pump = [&] {
    a.pump();
    b.pump();
  };
  if (!wait_for(pump, [&] { return a.count(Event::Type::up) > 0 && b.count(Event::Type::up) > 0; })) {
    fprintf(stderr, "driver: no session\n");
    return 1;
  }
  const Bytes packet = make_packet("10.9.0.1", "10.9.0.2", 1400, 1);
  const uint64_t begin = now_ns();
  unsigned received = 0;
  for (unsigned i = 0; i < packets; i++) {
    a.send_inside(packet);
    while (b.take_inside()) received++;
  }
  const auto sent = [&] { return a.engine().peer_info(Node::kPeer)->tx_packets >= packets; };
  const bool all = wait_for([&] { while (b.take_inside()) received++; }, sent);
  const double seconds = static_cast<double>(now_ns() - begin) / 1e9;
  printf("%u packets sent, %u received in %.3f s, %.0f a second\n", packets, received, seconds, packets / seconds);
  return all ? 0 : 1;
}

}  // namespace vpnd::driver
