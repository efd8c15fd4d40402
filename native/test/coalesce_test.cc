#include "coalesce.h"

#include <algorithm>

#include "check.h"
#include "merging.h"
#include "tcp_udp_packets.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

// How many packets each write has.
std::vector<size_t> counts(const std::vector<Bytes>& packets, Coalescer::Options options = kMergeAll) {
  std::vector<size_t> out;
  for (const Written& w : merge(packets, options)) out.push_back(w.packets);
  return out;
}

using Counts = std::vector<size_t>;

// A stream of `count` packets with `size` bytes each.
std::vector<Bytes> stream(PacketSpec spec, size_t count, size_t size) {
  spec.payload = random_bytes(count * size);
  return split_plainly(spec, size);
}

// Two packets in sequence, the second changed: how they come out.
Counts pair_with(const PacketSpec& spec, auto change) {
  PacketSpec second = spec;
  second.sequence += static_cast<uint32_t>(spec.payload.size());
  second.id++;
  change(second);
  return counts({build(spec), build(second)});
}

PacketSpec data_spec(bool six = false, bool udp = false) {
  PacketSpec spec;
  spec.six = six;
  spec.udp = udp;
  spec.payload = random_bytes(100);
  if (!udp) spec.tcp_options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
  return spec;
}

}  // namespace

TEST(coalesce_stream, "merging: a stream becomes one large packet, and that the same packets again") {
  for (const bool six : {false, true}) {
    for (const bool udp : {false, true}) {
      PacketSpec spec = data_spec(six, udp);
      spec.id = 65530;
      spec.sequence = 0xfffffff0;
      for (const bool dont_fragment : {false, true}) {
        spec.dont_fragment = dont_fragment;
        const std::vector<Bytes> packets = stream(spec, 40, 1395);
        const std::vector<Written> writes = merge(packets);
        CHECK(writes.size() == 1 && writes[0].packets == 40);
        CHECK(writes[0].header.gso_size == 1395);
        CHECK(writes[0].header.header_length == layout(packets[0]).payload);
        CHECK(unmerge(writes) == packets);
      }
    }
  }
}

TEST(coalesce_limits, "merging: at most 65535 bytes, 128 packets, 64 datagrams") {
  PacketSpec spec = data_spec();
  CHECK(counts(stream(spec, 60, 1395)) == (Counts{46, 14}));
  CHECK(counts(stream(spec, 300, 10)) == (Counts{128, 128, 44}));
  CHECK(counts(stream(spec, 3, 8)) == (Counts{3}));
  CHECK(counts(stream(spec, 3, 7)) == (Counts{1, 1, 1}));
  CHECK(counts(stream(data_spec(false, true), 3, 1)) == (Counts{3}));
  // Headers of 20 + 32, then exactly what still goes.
  CHECK(counts(stream(spec, 3, 21827)) == (Counts{3}));
  CHECK(counts(stream(spec, 3, 21828)) == (Counts{2, 1}));
  spec.six = true;
  CHECK(counts(stream(spec, 3, 21821)) == (Counts{3}));
  CHECK(counts(stream(spec, 3, 21822)) == (Counts{2, 1}));
  CHECK(counts(stream(data_spec(false, true), 130, 10)) == (Counts{64, 64, 2}));
}

TEST(coalesce_short, "merging: a shorter packet and PSH end the group, a longer one begins another") {
  PacketSpec spec = data_spec();
  for (const bool udp : {false, true}) {
    spec.udp = udp;
    CHECK(pair_with(spec, [](PacketSpec& s) { s.payload.pop_back(); }) == (Counts{2}));
    CHECK(pair_with(spec, [](PacketSpec& s) { s.payload.push_back(1); }) == (Counts{1, 1}));
    CHECK(pair_with(spec, [](PacketSpec& s) { s.payload.clear(); }) == (Counts{1, 1}));
    spec.payload = random_bytes(250);
    std::vector<Bytes> packets = split_plainly(spec, 100);
    spec.sequence += 250;
    spec.id = static_cast<uint16_t>(spec.id + 3);
    for (const Bytes& p : split_plainly(spec, 50)) packets.push_back(p);
    CHECK(counts(packets) == (Counts{3, 5}));
  }
  spec.udp = false;
  spec.flags = 0x18;
  spec.payload = random_bytes(300);
  const std::vector<Bytes> pushed = split_plainly(spec, 100);
  spec.sequence += 300;
  std::vector<Bytes> both = pushed;
  for (const Bytes& p : split_plainly(spec, 300)) both.push_back(p);
  CHECK(counts(both) == (Counts{3, 1}));
  CHECK(unmerge(merge(both)) == both);
  // PSH in the middle comes out where it was.
  spec.sequence += 300;
  for (const Bytes& p : split_plainly(spec, 100)) both.push_back(p);
  CHECK(counts(both) == (Counts{3, 1, 3}));
}

TEST(coalesce_tcp_rules, "merging: what differs between TCP packets and forbids it") {
  for (const bool six : {false, true}) {
    const PacketSpec spec = data_spec(six);
    const Counts apart{1, 1};
    CHECK(pair_with(spec, [](PacketSpec&) {}) == (Counts{2}));
    CHECK(pair_with(spec, [](PacketSpec& s) { s.sequence++; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.sequence -= 100; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.acknowledgement++; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.window++; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.tcp_options[7]++; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.tcp_options.resize(4); }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.tcp_options.resize(16); }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.tos = 3; }) == apart);  // congestion experienced
    CHECK(pair_with(spec, [](PacketSpec& s) { s.tos = 0x20; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.ttl--; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.from++; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.to++; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.host++; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.udp = true; }) == apart);
    CHECK(pair_with(spec, [](PacketSpec& s) { s.flags |= 0x08; }) == (Counts{2}));
    for (const uint8_t flag : Bytes{0x01, 0x02, 0x04, 0x20, 0x40, 0x80}) {
      CHECK(pair_with(spec, [&](PacketSpec& s) { s.flags |= flag; }) == apart);
      PacketSpec both = spec;
      both.flags |= flag;
      CHECK(pair_with(both, [](PacketSpec&) {}) == apart);
    }
    PacketSpec none = spec;
    none.flags = 0;
    CHECK(pair_with(none, [](PacketSpec&) {}) == apart);
    none = spec;
    none.payload.clear();
    CHECK(pair_with(none, [](PacketSpec&) {}) == apart);
  }
}

TEST(coalesce_ipv4_rules, "merging: IPv4 ids, DF, options and fragments") {
  PacketSpec spec = data_spec();
  spec.id = 10;
  CHECK(pair_with(spec, [](PacketSpec& s) { s.id = 10; }) == (Counts{2}));
  CHECK(pair_with(spec, [](PacketSpec& s) { s.dont_fragment = false; }) == (Counts{1, 1}));
  spec.dont_fragment = false;
  CHECK(pair_with(spec, [](PacketSpec&) {}) == (Counts{2}));
  CHECK(pair_with(spec, [](PacketSpec& s) { s.id = 10; }) == (Counts{1, 1}));
  CHECK(pair_with(spec, [](PacketSpec& s) { s.id = 12; }) == (Counts{1, 1}));
  spec.ip_options = {1, 1, 1, 0};
  CHECK(pair_with(spec, [](PacketSpec&) {}) == (Counts{1, 1}));
  for (const unsigned bits : {0x2000u, 0x0001u, 0x8000u}) {
    std::vector<Bytes> packets = stream(data_spec(), 2, 100);
    for (Bytes& p : packets) {
      store16(&p[6], bits);
      store16(&p[10], 0);
      store16(&p[10], static_cast<uint16_t>(~(plain_sum(View(p).first(20)) % 65535)));
    }
    CHECK(counts(packets) == (Counts{1, 1}));
  }
}

TEST(coalesce_ipv6_rules, "merging: IPv6 flow labels and extension headers") {
  PacketSpec spec = data_spec(true);
  std::vector<Bytes> packets = stream(spec, 2, 100);
  packets[1][3] = 1;
  CHECK(counts(packets) == (Counts{1, 1}));
  packets[0][3] = 1;
  CHECK(counts(packets) == (Counts{2}));
  spec.ip_options = {6, 0, 1, 4, 0, 0, 0, 0};
  CHECK(counts(stream(spec, 2, 100)) == (Counts{1, 1}));
}

TEST(coalesce_corrupt, "merging: a packet with a wrong checksum goes alone and unchanged, whichever it is") {
  for (const bool six : {false, true}) {
    for (const bool udp : {false, true}) {
      for (size_t bad = 0; bad < 4; bad++) {
        std::vector<Bytes> packets = stream(data_spec(six, udp), 4, 99);
        const size_t header = layout(packets[bad]).payload;
        for (const size_t at : {header, header + 98, header - 1, size_t{10}}) {
          if (at == 10 && six) continue;
          std::vector<Bytes> broken = packets;
          broken[bad][at] ^= 1;
          const std::vector<Written> writes = merge(broken);
          size_t total = 0;
          for (const Written& w : writes) {
            total += w.packets;
            if (w.packets > 1) CHECK(is_right(unmerge({w})[0]));
          }
          CHECK(total == 4);
          CHECK(std::count_if(writes.begin(), writes.end(), [&](const Written& w) { return w.packet == broken[bad]; }) == 1);
        }
      }
    }
  }
  // A wrong length that the checksum does not show.
  PacketSpec spec = data_spec(false, true);
  std::vector<Bytes> longer = stream(spec, 2, 50);
  for (Bytes& p : longer) {
    store16(&p[24], load16(&p[24]) - 1u);
    store16(&p[26], load16(&p[26]) + 1u);
  }
  CHECK(counts(longer) == (Counts{1, 1}));
  // A datagram without a checksum, also where zero would be right.
  spec.dont_fragment = true;
  spec.payload = Bytes(2);
  memcpy(spec.payload.data(), &build(spec)[26], 2);
  Bytes zero = build(spec);
  CHECK(load16(&zero[26]) == 0xffff && counts({zero, zero}) == (Counts{2}));
  store16(&zero[26], 0);
  CHECK(counts({zero, zero}) == (Counts{1, 1}));
  std::vector<Bytes> packets = stream(data_spec(false, true), 3, 50);
  for (Bytes& p : packets) store16(&p[26], 0);
  CHECK(counts(packets) == (Counts{1, 1, 1}));
}

TEST(coalesce_options, "merging: only what the TUN takes") {
  for (const bool six : {false, true}) {
    for (const bool udp : {false, true}) {
      const std::vector<Bytes> packets = stream(data_spec(six, udp), 3, 50);
      const Counts merged{3}, single{1, 1, 1};
      CHECK(counts(packets, {.tcp4 = true}) == (!six && !udp ? merged : single));
      CHECK(counts(packets, {.tcp6 = true}) == (six && !udp ? merged : single));
      CHECK(counts(packets, {.udp = true}) == (udp ? merged : single));
    }
  }
}

TEST(coalesce_owners, "merging: never for two owners, who are told to the sink") {
  const std::vector<Bytes> packets = stream(data_spec(), 4, 50);
  Recorder recorder;
  Coalescer coalescer(kMergeAll, recorder);
  int one = 0, two = 0;
  for (size_t i = 0; i < 4; i++) coalescer.add(packets[i], i < 2 ? &one : &two);
  coalescer.flush();
  CHECK(recorder.writes.size() == 2 && recorder.writes[0].owner == &one && recorder.writes[1].owner == &two);
  CHECK(unmerge(recorder.writes) == packets);
  coalescer.flush();
  CHECK(recorder.writes.size() == 2);
}

TEST(coalesce_interleaved, "merging: eight flows side by side, and more than that still in order") {
  for (const size_t flows : {8, 9, 40}) {
    std::vector<std::vector<Bytes>> all;
    for (size_t i = 0; i < flows; i++) {
      PacketSpec spec = data_spec(i % 2 == 0, i % 3 == 0);
      spec.from = static_cast<uint16_t>(1000 + i);
      all.push_back(stream(spec, 10, 50));
    }
    std::vector<Bytes> packets;
    for (size_t n = 0; n < 10; n++) {
      for (const auto& flow : all) packets.push_back(flow[n]);
    }
    const std::vector<Written> writes = merge(packets);
    if (flows == 8) CHECK(writes.size() == 8);
    std::vector<Bytes> out = unmerge(writes);
    CHECK(out.size() == packets.size());
    for (const auto& flow : all) {
      std::vector<Bytes> mine;
      const size_t at = layout(flow[0]).transport;
      std::copy_if(out.begin(), out.end(), std::back_inserter(mine), [&](const Bytes& p) {
        return p[0] == flow[0][0] && layout(p).protocol == layout(flow[0]).protocol && load16(&p[at]) == load16(&flow[0][at]);
      });
      CHECK(mine == flow);
    }
  }
}

TEST(coalesce_order, "merging: a fragment or an odd packet waits for the flows of its addresses, and others do not") {
  const std::vector<Bytes> mine = stream(data_spec(), 4, 50);
  PacketSpec other = data_spec();
  other.host = 2;
  const std::vector<Bytes> theirs = stream(other, 4, 50);
  Bytes fragment = mine[0];
  fragment[7] = 1;
  const std::vector<Written> writes = merge({mine[0], theirs[0], mine[1], theirs[1], fragment, mine[2], theirs[2], mine[3], theirs[3]});
  Counts got;
  for (const Written& w : writes) got.push_back(w.packets);
  CHECK(got == (Counts{2, 1, 2, 4}) || got == (Counts{2, 1, 4, 2}));
  CHECK(writes.size() == 4 && writes[1].packet == fragment);
  PacketSpec odd = data_spec();
  odd.ip_options = {1, 1, 1, 0};
  odd.acknowledgement = 0x50000000;  // a TCP header, if one looked for it behind 20 bytes
  CHECK(counts({mine[0], mine[1], build(odd), mine[2], build(odd)}) == (Counts{2, 1, 1, 1}));
  CHECK(merge({mine[0], mine[1], build(odd), mine[2], build(odd)})[1].packet == build(odd));
  // An acknowledgement without data behind data.
  PacketSpec ack = data_spec();
  ack.payload.clear();
  CHECK(counts({mine[0], mine[1], build(ack), mine[2], mine[3]}) == (Counts{2, 1, 2}));
}
