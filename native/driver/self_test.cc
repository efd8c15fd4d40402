#include "self_test.h"

#include <cstdio>
#include <random>
#include <set>

#include "icmp.h"
#include "node.h"
#include "packets.h"
#include "record.h"
#include "wire.h"

namespace vpnd::driver {

namespace {

const char* const kIpA = "10.9.0.1";
const char* const kIpB = "10.9.0.2";
const char* const kIpNobody = "10.9.0.99";

int failures = 0;

bool expect(bool ok, const char* what, int line) {
  if (ok) return true;
  failures++;
  printf("  FAILED at line %d: %s\n", line, what);
  return false;
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)

// Two nodes with a wire between them; A dials.
struct Pair {
  explicit Pair(Node::Options options_a = {.seed = 1}, Node::Options options_b = {.seed = 2})
      : a(options_a), b(options_b), wire(a.endpoint(), b.endpoint()) {
    a.engine().set_peer(Node::kPeer, {*Prefix::parse(kIpB)});
    b.engine().set_peer(Node::kPeer, {*Prefix::parse(kIpA)});
  }
  void step() {
    wire.pump();
    a.pump();
    b.pump();
  }
  bool wait(const std::function<bool()>& done, unsigned ms = 10000) {
    return wait_for([this] { step(); }, done, ms);
  }
  bool up(uint32_t tag = 1) {
    const size_t before_a = a.count(Event::Type::up), before_b = b.count(Event::Type::up);
    a.engine().connect(tag, wire.front());
    return wait([&] { return a.count(Event::Type::up) > before_a && b.count(Event::Type::up) > before_b; });
  }
  // Whether a packet gets through, in whichever direction.
  bool passes(Node& from, Node& to, uint32_t number) {
    const bool forth = &from == &a;
    from.send_inside(make_packet(forth ? kIpA : kIpB, forth ? kIpB : kIpA, 200, number));
    return arrives(to, number);
  }
  bool arrives(Node& to, uint32_t number) {
    return wait([&] {
      while (const auto packet = to.take_inside()) {
        if (packet_number(*packet) == number) return true;
      }
      return false;
    });
  }
  bool both_ways(uint32_t number) { return passes(a, b, number) && passes(b, a, number + 1); }

  Node a;
  Node b;
  Wire wire;
};

bool is_data(View datagram) { return !datagram.empty() && datagram[0] == kRecordType; }

void carries_packets(unsigned threads) {
  Pair p({.seed = 1, .threads = threads}, {.seed = 2, .threads = threads});
  if (!EXPECT(p.up())) return;
  // Few under way at a time: the end of a Unix socket pair holds ten (net.unix.max_dgram_qlen).
  std::set<uint32_t> got;
  const auto collect = [&] {
    while (const auto packet = p.b.take_inside()) got.insert(packet_number(*packet));
  };
  for (uint32_t i = 0; i < 500; i++) {
    p.a.send_inside(make_packet(kIpA, kIpB, 36 + i * 2, i));
    if (!EXPECT(p.wait([&] { collect(); return got.size() + 5 > i; }))) return;
  }
  EXPECT(p.wait([&] { collect(); return got.size() == 500; }));
  EXPECT(p.both_ways(1000));
  const auto tx = p.a.engine().peer_info(Node::kPeer);
  const auto rx = p.b.engine().peer_info(Node::kPeer);
  EXPECT(tx && rx && tx->tx_packets == rx->rx_packets && tx->tx_bytes == rx->rx_bytes && tx->tx_packets == 501);
  p.a.engine().ping(Node::kPeer, 42);
  EXPECT(p.wait([&] { return p.a.count(Event::Type::pong) == 1; }));
  p.a.engine().stop();
  EXPECT(p.wait([&] { return p.b.count(Event::Type::closed) == 1; }));
}

void refuses_another_psk() {
  Pair p({.seed = 1, .psks = {1}}, {.seed = 2, .psks = {2}});
  p.a.engine().connect(1, p.wire.front());
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > 0 && p.b.count(Event::Type::wrong_psk) > 0; }));
  EXPECT(p.a.count(Event::Type::up) == 0 && p.b.count(Event::Type::up) == 0);
  EXPECT(p.a.count(Event::Type::hello) == 0 && p.b.count(Event::Type::hello) == 0);
}

uint32_t last_epoch(const Node& node) {
  uint32_t epoch = 0;
  for (const Event& e : node.events()) {
    if (e.type == Event::Type::up) epoch = e.epoch;
  }
  return epoch;
}

void changes_the_psk() {
  Pair p({.seed = 1, .psks = {2, 1}}, {.seed = 2, .psks = {1}});
  // The other end does not know the preferred PSK yet.
  p.a.engine().connect(1, p.wire.front());
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > 0; }));
  EXPECT(p.a.count(Event::Type::up) == 0);
  p.a.engine().connect(2, p.wire.front(), 1);
  if (!EXPECT(p.wait([&] { return p.a.count(Event::Type::up) == 1 && p.b.count(Event::Type::up) == 1; }))) return;
  EXPECT(last_epoch(p.a) == 1 && last_epoch(p.b) == 1 && p.both_ways(10));
  // Now it does; the living session is replaced, not interrupted.
  p.b.engine().set_identity(make_identity({.seed = 2, .psks = {2, 1}}));
  EXPECT(p.up(3) && last_epoch(p.a) == 2 && last_epoch(p.b) == 2 && p.both_ways(20));
  // The former PSK is dropped.
  p.b.engine().set_identity(make_identity({.seed = 2, .psks = {2}}));
  const size_t hints = p.a.count(Event::Type::wrong_psk);
  p.a.engine().connect(4, p.wire.front(), 1);
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > hints; }));
  // One that was never known fails at once.
  p.a.engine().connect(5, p.wire.front(), 9);
  EXPECT(p.wait([&] { return p.a.count(Event::Type::failed) > 0; }));
  EXPECT(p.both_ways(30));
}

// Identities of a Badger network tell nothing: the server finds out by trying.
void changes_the_badger_psk() {
  Pair p({.seed = 1, .psks = {1}, .badger = true}, {.seed = 2, .psks = {2, 1}, .badger = true});
  p.a.engine().connect(1, p.wire.front());
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > 0; }));
  EXPECT(p.up(2) && last_epoch(p.a) == 1 && last_epoch(p.b) == 1 && p.both_ways(10));
  // Once it worked, the preferred one comes first again.
  p.a.engine().set_identity(make_identity({.seed = 1, .psks = {2}, .badger = true}));
  EXPECT(p.up(3) && last_epoch(p.a) == 2 && last_epoch(p.b) == 2 && p.both_ways(20));
}

// Both in doubt, in opposite orders: they must not keep missing each other.
void finds_the_badger_psk_in_doubt() {
  Pair p({.seed = 1, .psks = {1, 2}, .badger = true}, {.seed = 2, .psks = {2, 1}, .badger = true});
  for (uint32_t tag = 1; tag <= 4 && p.a.count(Event::Type::up) == 0; tag++) {
    const size_t before = p.a.count(Event::Type::wrong_psk);
    p.a.engine().connect(tag, p.wire.front(), tag % 2 == 1 ? 1 : 2);
    p.wait([&] { return p.a.count(Event::Type::up) > 0 || p.a.count(Event::Type::wrong_psk) > before; });
  }
  EXPECT(p.a.count(Event::Type::up) == 1);
}

void refuses_another_badger_psk() {
  Pair p({.seed = 1, .psks = {1}, .badger = true}, {.seed = 2, .psks = {2}, .badger = true});
  p.a.engine().connect(1, p.wire.front());
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > 0 && p.b.count(Event::Type::wrong_psk) > 0; }));
  EXPECT(p.a.count(Event::Type::up) == 0 && p.b.count(Event::Type::up) == 0);
}

// A record of A for B that has passed, newest one that holds the numbered packet's size.
Bytes captured_record(Pair& p, uint32_t number) {
  p.wire.passed.clear();
  if (!EXPECT(p.passes(p.a, p.b, number))) return {};
  for (const Bytes& d : p.wire.passed) {
    if (is_data(d) && d.size() == 200 + kRecordOverhead) return d;
  }
  EXPECT(!"no record passed");
  return {};
}

void drops_replays() {
  Pair p;
  if (!EXPECT(p.up())) return;
  const Bytes record = captured_record(p, 1);
  if (record.empty()) return;
  for (int i = 0; i < 3; i++) p.wire.inject(record);
  p.wire.inject_from_elsewhere(record);
  EXPECT(p.wait([&] { return p.b.dropped("replayed") == 4; }));
  EXPECT(!p.b.take_inside());
  EXPECT(p.both_ways(10));
  // A replay from elsewhere starts no move.
  EXPECT(p.b.count(Event::Type::path) == 0);
}

void drops_altered_records() {
  Pair p;
  if (!EXPECT(p.up())) return;
  // Kept back, so that nothing of it is a replay.
  Bytes record;
  p.wire.filter = [&](View d) {
    if (!is_data(d) || d.size() != 200 + kRecordOverhead) return true;
    record.assign(d.begin(), d.end());
    return false;
  };
  p.a.send_inside(make_packet(kIpA, kIpB, 200, 1));
  if (!EXPECT(p.wait([&] { return !record.empty(); }))) return;
  p.wire.filter = [](View) { return true; };
  const auto lost = [&] {
    uint64_t sum = 0;
    for (const auto& [name, n] : p.b.engine().info().drops) sum += n;
    return sum;
  };
  const uint64_t before = lost();
  for (size_t i = 0; i < record.size(); i++) {
    Bytes altered = record;
    altered[i] = static_cast<uint8_t>(altered[i] ^ (1 << (i % 8)));
    p.wire.inject(altered);
  }
  for (size_t size = 0; size < record.size(); size++) p.wire.inject({record.data(), size});
  EXPECT(p.wait([&] { return lost() + p.b.count(Event::Type::datagram) >= before + record.size() * 2; }));
  EXPECT(!p.b.take_inside());
  EXPECT(p.b.dropped("bad-tag") > 0 && p.b.dropped("malformed-record") > 0 && p.b.dropped("unknown-index") > 0);
  p.wire.inject(record);
  EXPECT(p.arrives(p.b, 1));
}

void drops_what_does_not_belong() {
  Pair p;
  if (!EXPECT(p.up())) return;
  p.a.send_inside(make_packet(kIpNobody, kIpB, 100, 1));
  EXPECT(p.wait([&] { return p.b.dropped("foreign-source") == 1; }));
  p.a.send_inside(make_packet(kIpA, "224.0.0.1", 100, 1));
  p.a.send_inside(make_packet(kIpA, "255.255.255.255", 100, 1));
  EXPECT(p.wait([&] { return p.a.dropped("multicast") == 2; }));
  p.a.send_inside(Bytes(40, 0xff));
  Bytes lying = make_packet(kIpA, kIpB, 100, 1);
  lying.resize(99);
  p.a.send_inside(lying);
  EXPECT(p.wait([&] { return p.a.dropped("malformed-packet") == 2; }));
  EXPECT(p.passes(p.a, p.b, 2));
}

void answers_for_nobody() {
  Pair p;
  p.a.send_inside(make_packet(kIpA, kIpNobody, 100, 1));
  std::optional<Bytes> answer;
  EXPECT(p.wait([&] { return (answer = p.a.take_inside()).has_value(); }));
  IpHeader header;
  EXPECT(answer && parse_ip(*answer, header) && header.protocol == 1 && (*answer)[20] == 3 && (*answer)[21] == 1);
  // Bounded: a flood of questions gets few answers.
  for (uint32_t i = 0; i < 500; i++) p.a.send_inside(make_packet(kIpA, kIpNobody, 100, i));
  EXPECT(p.wait([&] { return p.a.dropped("unknown-destination") == 501; }));
  size_t answers = 0;
  while (p.a.take_inside()) answers++;
  EXPECT(answers < 400);
  const auto unknown = p.a.engine().unknown_destinations();
  EXPECT(unknown.size() == 1 && unknown[0].first.text() == kIpNobody);
}

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

void finds_the_mtu() {
  Pair p;
  const auto mtu = [](Node& node) {
    const auto info = node.engine().peer_info(Node::kPeer);
    return info && info->mtu ? *info->mtu : 0;
  };
  // A black hole in one direction: outer packets of up to 1280 bytes pass.
  p.wire.filter = [](View d) { return d.size() + 28 <= 1280; };
  if (!EXPECT(p.up())) return;
  EXPECT(p.wait([&] { return mtu(p.a) == 1218; }));
  EXPECT(mtu(p.b) == 1400);
  // Another path: what was known is forgotten.
  p.wire.filter = [](View) { return true; };
  p.a.engine().close_peer(Node::kPeer);
  EXPECT(p.wait([&] { return p.b.count(Event::Type::closed) == 1; }));
  EXPECT(mtu(p.a) == 0);
  if (!EXPECT(p.up(2))) return;
  EXPECT(p.wait([&] { return mtu(p.a) == 1400; }));
}

// Larger than the MTU: cut where the sender allows it, refused with an answer where not.
void deals_with_large_packets() {
  Pair p;
  if (!EXPECT(p.up())) return;
  Bytes large = make_packet(kIpA, kIpB, 2000, 1);
  p.a.send_inside(large);
  std::vector<Bytes> got;
  EXPECT(p.wait([&] {
    while (auto packet = p.b.take_inside()) got.push_back(std::move(*packet));
    return got.size() == 2;
  }));
  if (got.size() == 2) {
    EXPECT(load16(&got[0][6]) == 0x2000 && got[0].size() == 1396 && load16(&got[1][6]) == 1376 / 8);
    EXPECT(got[0].size() + got[1].size() == large.size() + 20);
  }
  EXPECT(p.a.dropped("too-big") == 0);
  store16(&large[6], 0x4000);
  p.a.send_inside(large);
  std::optional<Bytes> answer;
  EXPECT(p.wait([&] { return (answer = p.a.take_inside()).has_value(); }));
  EXPECT(answer && answer->size() == 576 && (*answer)[20] == 3 && (*answer)[21] == 4 && load32(&(*answer)[24]) == 1400);
  EXPECT(p.a.dropped("too-big") == 1);
  EXPECT(p.both_ways(5));
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

int self_test() {
  const struct {
    const char* name;
    std::function<void()> run;
  } tests[] = {
      {"carries packets with one thread", [] { carries_packets(1); }},
      {"carries packets with two threads", [] { carries_packets(2); }},
      {"carries packets with three queues", [] { carries_packets(3); }},
      {"refuses another PSK", refuses_another_psk},
      {"refuses another PSK of a Badger network", refuses_another_badger_psk},
      {"changes the PSK", changes_the_psk},
      {"changes the PSK of a Badger network", changes_the_badger_psk},
      {"finds the PSK of a Badger network in doubt", finds_the_badger_psk_in_doubt},
      {"drops replays", drops_replays},
      {"drops altered records", drops_altered_records},
      {"drops what does not belong", drops_what_does_not_belong},
      {"answers for nobody", answers_for_nobody},
      {"follows a moved peer", follows_a_moved_peer},
      {"replaces a session", replaces_a_session},
      {"survives garbage", survives_garbage},
      {"survives churn with two threads", [] { survives_churn(2, false); }},
      {"survives churn with four queues", [] { survives_churn(4, true); }},
      {"finds the MTU of a path", finds_the_mtu},
      {"deals with large packets", deals_with_large_packets},
      {"tells silence", tells_silence},
      {"suspects a peer that punches", suspects_a_peer_that_punches},
  };
  int failed = 0;
  for (const auto& test : tests) {
    failures = 0;
    test.run();
    printf("%s %s\n", failures ? "not ok" : "ok", test.name);
    fflush(stdout);
    failed += failures != 0;
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace vpnd::driver
