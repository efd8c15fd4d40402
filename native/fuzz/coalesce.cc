// Packets that peers sent, towards the TUN: what is merged is, cut up again, the same packets, and each flow's in order.
#include "../test/merging.h"
#include "../test/tcp_udp_packets.h"
#include "input.h"
#include "ip_packet.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

constexpr size_t kMaxPackets = 120;

// The next packets of one of a few flows, altered here and there.
void next_of_flow(Input& in, std::array<test::PacketSpec, 12>& flows, std::vector<Bytes>& packets) {
  const uint8_t which = in.u8(), change = in.u8();
  test::PacketSpec& flow = flows[which % flows.size()];
  const size_t size = in.u16() % 1500, count = which >> 4;
  switch (change & 15) {
    case 1: flow.flags = in.u8(); break;
    case 2: flow.window = in.u16(); break;
    case 3: flow.tos = in.u8(); break;
    case 4: flow.sequence = in.u16(); break;
    case 5: flow.id = in.u16(); break;
    case 6: flow.tcp_options.resize(in.u8() % 11 * size_t{4}, 1); break;
    case 7: flow.acknowledgement++; break;
    case 8: flow.dont_fragment = !flow.dont_fragment; break;
    case 9: flow.ttl = in.u8(); break;
    default: break;
  }
  flow.payload.assign(size * count + in.u8() % (size + 1), change);
  if (flow.payload.size() > 65000) return;
  for (Bytes& p : test::split_plainly(flow, size == 0 ? 1 : size)) packets.push_back(std::move(p));
  flow.sequence += static_cast<uint32_t>(flow.payload.size());
  flow.id = static_cast<uint16_t>(flow.id + count + 1);
}

void add(Input& in, std::array<test::PacketSpec, 12>& flows, std::vector<Bytes>& packets) {
  const uint8_t kind = in.u8() % 8;
  if (kind > 3) return next_of_flow(in, flows, packets);
  const uint16_t at = in.u16();
  if (kind == 0) return packets.push_back(copy(in.piece()));
  if (packets.empty()) return;
  Bytes again = packets[at % packets.size()];
  if (kind == 1) again[in.u16() % again.size()] ^= in.u8();
  if (kind == 2) again.resize(in.u16() % again.size());
  packets.push_back(again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  std::array<test::PacketSpec, 12> flows;
  for (size_t i = 0; i < flows.size(); i++) {
    flows[i].six = i % 2;
    flows[i].udp = i % 3 == 0;
    flows[i].from = static_cast<uint16_t>(i / 2);
  }
  const uint8_t takes = in.u8();
  std::vector<Bytes> packets;
  while (!in.empty() && packets.size() < kMaxPackets) {
    add(in, flows, packets);
    std::erase_if(packets, [](const Bytes& p) { IpHeader header; return !parse_ip(p, header); });
  }
  for (Bytes& p : packets) p.shrink_to_fit();
  const std::vector<test::Written> writes =
      test::merge(packets, {.tcp4 = (takes & 1) == 0, .tcp6 = (takes & 2) == 0, .udp = (takes & 4) == 0});
  EXPECT(test::same_by_flow(packets, test::unmerge(writes)));
  for (const test::Written& w : writes) {
    EXPECT(w.packets <= Coalescer::kMaxPackets && w.packet.size() <= 65535);
    EXPECT(w.packets == 1 || w.header.header_length == test::layout(w.packet).payload);
    EXPECT(w.packets == 1 || w.header.gso_type != VnetHeader::kGsoUdp || w.packets <= Coalescer::kMaxDatagrams);
  }
  return 0;
}
