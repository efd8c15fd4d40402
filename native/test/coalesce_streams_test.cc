#include "check.h"
#include "merging.h"
#include "tcp_udp_packets.h"

using namespace vpnd;
using namespace vpnd::test;

// A random walk through a stream: what is lost, overtaken or repeated comes out in the order in which it came in.
TEST(coalesce_random, "merging: any streams, with gaps and repetitions, come out byte for byte and in order") {
  size_t in = 0, out = 0;
  for (int round = 0; round < 300; round++) {
    std::vector<Bytes> packets;
    std::vector<PacketSpec> specs;
    const size_t flows = pick(1, 12);
    for (size_t i = 0; i < flows; i++) {
      PacketSpec spec;
      spec.six = pick(0, 1) == 0;
      spec.udp = pick(0, 2) == 0;
      spec.from = static_cast<uint16_t>(2000 + i);
      spec.sequence = static_cast<uint32_t>(test::random()());
      spec.id = static_cast<uint16_t>(pick(0, 65535));
      spec.dont_fragment = pick(0, 1) == 0;
      spec.tcp_options = random_bytes(4 * pick(0, 10));
      specs.push_back(spec);
    }
    while (packets.size() < 200) {
      PacketSpec& spec = specs[pick(0, flows - 1)];
      const size_t gso_size = pick(8, pick(0, 3) == 0 ? 9000 : 200);
      spec.payload = random_bytes(pick(0, 3) == 0 ? pick(0, 3) : pick(1, 20) * gso_size / 2);
      spec.flags = static_cast<uint8_t>(0x10 | (pick(0, 2) == 0 ? 8 : 0) | (pick(0, 9) == 0 ? test::random()() & 0xff : 0));
      spec.tos = pick(0, 9) == 0 ? 3 : 2;
      if (spec.payload.size() > 60000) continue;
      const std::vector<Bytes> segments = split_plainly(spec, gso_size);
      for (size_t i = 0; i < segments.size(); i++) {
        if (pick(0, 9) == 0) continue;
        packets.push_back(segments[i]);
        if (pick(0, 19) == 0) packets.push_back(segments[pick(0, i)]);
      }
      spec.sequence += static_cast<uint32_t>(spec.payload.size());
      spec.id = static_cast<uint16_t>(spec.id + segments.size());
    }
    const std::vector<Written> writes = merge(packets);
    CHECK(same_by_flow(packets, unmerge(writes)));
    in += packets.size();
    out += writes.size();
  }
  CHECK(out < in * 3 / 4);
}
