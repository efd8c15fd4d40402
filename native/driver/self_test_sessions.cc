// Scenes about sessions: peers that move, come back, fall silent or go, and strangers' garbage.
#include <random>

#include "scene.h"

namespace vpnd::driver {

namespace {

void follows_a_moved_peer() {
  Pair p;
  if (!EXPECT(p.up() && p.both_ways(1))) return;
  p.wire.rebind();
  EXPECT(p.passes(p.a, p.b, 10));
  EXPECT(p.wait([&] { return p.b.count(Event::Type::path) == 1; }));
  EXPECT(p.passes(p.b, p.a, 11));
  p.wire.rebind();
  EXPECT(p.passes(p.a, p.b, 12));
  EXPECT(p.wait([&] { return p.b.count(Event::Type::path) == 2; }));
  EXPECT(p.both_ways(13));
}

void replaces_a_session() {
  Pair p;
  if (!EXPECT(p.up(1) && p.both_ways(1))) return;
  for (uint32_t round = 2; round < 6; round++) {
    EXPECT(p.up(round));
    EXPECT(p.a.events().back().type != Event::Type::failed);
    EXPECT(p.both_ways(round * 10));
  }
  EXPECT(p.a.dropped("bad-tag") == 0 && p.b.dropped("bad-tag") == 0);
}

void survives_garbage() {
  Pair p;
  if (!EXPECT(p.up())) return;
  std::mt19937 random(20240501);
  for (int i = 0; i < 4000; i++) {
    Bytes datagram(random() % 300);
    for (uint8_t& byte : datagram) byte = static_cast<uint8_t>(random());
    // Half of it looks like DTLS or data records at first sight.
    if (datagram.size() > 16 && i % 2) {
      datagram[0] = static_cast<uint8_t>(20 + random() % 6);
      datagram[1] = 0xfe;
      datagram[2] = 0xfd;
      store16(&datagram[11], static_cast<uint32_t>(datagram.size() - 13));
    }
    (i % 3 ? p.wire.inject(datagram) : p.wire.inject_from_elsewhere(datagram));
    if (i % 64 == 0) p.step();
  }
  EXPECT(p.wait([&] { return p.b.dropped("unknown-type") > 100; }));
  EXPECT(p.both_ways(1));
}

// With spread, records of one session reach several threads.
void survives_churn(unsigned threads, bool spread) {
  Pair p({.seed = 1, .threads = threads}, {.seed = 2, .threads = threads});
  for (uint32_t round = 0; round < 15; round++) {
    p.wire.spread = false;  // a handshake is one address's
    if (!EXPECT(p.up(round + 1)) || !EXPECT(p.both_ways(round * 10))) return;
    p.wire.spread = spread;
    // Packets are under way while the peer goes.
    for (uint32_t i = 0; i < 50; i++) p.a.send_inside(make_packet(kIpA, kIpB, 600, 100000 + i));
    if (round % 3 == 0) {
      p.a.engine().remove_peer(Node::kPeer);
      p.a.engine().set_peer(Node::kPeer, {*Prefix::parse(kIpB)});
    } else if (round % 3 == 1) {
      p.b.engine().close_peer(Node::kPeer);
    } else {
      std::vector<Prefix> many{*Prefix::parse(kIpB)};
      for (int i = 0; i < 200; i++) many.push_back(*Prefix::parse("10.8.0." + std::to_string(i) + "/32"));
      p.a.engine().set_peer(Node::kPeer, many);
    }
    p.step();
  }
  // Stop in the middle of a handshake and of traffic.
  p.a.engine().connect(99, p.wire.front());
  p.step();
  p.b.engine().stop();
  p.a.engine().stop();
}

void tells_silence() {
  Pair p({.seed = 1, .dead_after_ms = 600}, {.seed = 2});
  if (!EXPECT(p.up())) return;
  p.wire.cut = true;
  EXPECT(p.wait([&] { return p.a.count(Event::Type::silent) == 1; }));
  p.wire.cut = false;
  EXPECT(p.wait([&] { return p.a.count(Event::Type::alive) == 1; }));
}

void suspects_a_peer_that_punches() {
  Pair p({.seed = 1}, {.seed = 2});
  if (!EXPECT(p.up() && p.both_ways(1))) return;
  const Bytes punch{0};
  const auto silent = [&] { return p.b.count(Event::Type::silent) > 0; };
  // Forged: the peer is there and says so.
  for (int i = 0; i < 50; i++) p.wire.inject(punch);
  EXPECT(p.wait([&] { return p.b.dropped("punch") == 50; }));
  EXPECT(!p.wait(silent, 2500));
  // From elsewhere it says nothing of the peer.
  p.wire.cut = true;
  p.wire.inject_from_elsewhere(punch);
  EXPECT(!p.wait(silent, 2500));
  p.wire.inject(punch);
  EXPECT(p.wait(silent, 8000));
  p.wire.cut = false;
  EXPECT(p.wait([&] { return p.b.count(Event::Type::alive) == 1; }));
  EXPECT(p.b.count(Event::Type::silent) == 1);
  EXPECT(p.both_ways(3));
}

}  // namespace

std::vector<Scene> session_scenes() {
  return {
      {"follows a moved peer", follows_a_moved_peer},
      {"replaces a session", replaces_a_session},
      {"survives garbage", survives_garbage},
      {"survives churn with two threads", [] { survives_churn(2, false); }},
      {"survives churn with four queues", [] { survives_churn(4, true); }},
      {"tells silence", tells_silence},
      {"suspects a peer that punches", suspects_a_peer_that_punches},
  };
}

}  // namespace vpnd::driver
