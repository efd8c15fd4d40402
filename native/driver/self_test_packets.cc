// Scenes about packets: what arrives, and what must not.
#include <set>

#include "icmp.h"
#include "record.h"
#include "scene.h"

namespace vpnd::driver {

namespace {

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

// A record of A for B that has passed, newest one that holds the numbered packet's size.
Bytes captured_record(Pair& p, uint32_t number) {
  p.wire.passed.clear();
  if (!EXPECT(p.passes(p.a, p.b, number))) return {};
  for (const Bytes& d : p.wire.passed) {
    if (is_data(d) && d.size() == 200 + kRecordOverhead) return d;
  }
  EXPECT(false && "a record passes");
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

}  // namespace

std::vector<Scene> packet_scenes() {
  return {
      {"carries packets with one thread", [] { carries_packets(1); }},
      {"carries packets with two threads", [] { carries_packets(2); }},
      {"carries packets with three queues", [] { carries_packets(3); }},
      {"drops replays", drops_replays},
      {"drops altered records", drops_altered_records},
      {"drops what does not belong", drops_what_does_not_belong},
      {"answers for nobody", answers_for_nobody},
      {"finds the MTU of a path", finds_the_mtu},
      {"deals with large packets", deals_with_large_packets},
  };
}

}  // namespace vpnd::driver
