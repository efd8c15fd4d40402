// What a hostile carrier writes into a packet port: the device gets whole packets of the right kind only, each with a header that
// describes it, and everything is counted.
#include "../test/port_device.h"
#include "../test/tcp_udp_packets.h"
#include "input.h"
#include "ip_packet.h"
#include "super_packet.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

constexpr size_t kMtu = 1400;

// What the kernel believes of a super-packet.
void check_super(const test::Written& w) {
  const VnetHeader& h = w.header;
  const test::Layout where = test::layout(w.packet);
  EXPECT(h.flags == VnetHeader::kNeedsChecksum && h.gso_size > 0 && w.packets > 1);
  EXPECT(where.payload != 0 && h.header_length == where.payload && h.checksum_start == where.transport);
  const uint8_t type = where.protocol == 17 ? VnetHeader::kGsoUdp : w.packet[0] >> 4 == 4 ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoTcp6;
  EXPECT(h.gso_type == type && h.checksum_offset == (where.protocol == 17 ? 6 : 16));
  EXPECT(where.protocol != 17 || w.packets <= Coalescer::kMaxDatagrams);
}

// A super-packet that the kernel might have made, a little altered.
Bytes almost_right(Input& in) {
  test::PacketSpec spec;
  const uint8_t bits = in.u8();
  spec.six = bits & 1;
  spec.udp = bits & 2;
  spec.flags = in.u8();
  spec.sequence = in.u16();
  spec.tcp_options.resize(in.u8() % 11 * size_t{4}, 1);
  if (bits & 4) spec.ip_options.resize(8, 1);
  if (spec.six && !spec.ip_options.empty()) spec.ip_options[0] = spec.udp ? 17 : 6, spec.ip_options[1] = 0;
  const uint16_t gso_size = in.u16() % 2000;
  spec.payload.resize(std::min<size_t>(size_t{gso_size} * (in.u8() % 80), 60000) + in.u8(), in.u8());
  const test::Super super = test::build_super(spec, gso_size);
  Bytes item(sizeof(VnetHeader));
  store_vnet(item.data(), super.header);
  item.insert(item.end(), super.packet.begin(), super.packet.end());
  for (uint8_t n = in.u8() % 4; n > 0; n--) item[in.u16() % std::min<size_t>(item.size(), 120)] ^= in.u8();
  return item;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  const uint8_t mode = in.u8();
  const auto items = static_cast<PortItems>(mode % 3);
  const TunOffloads offloads{.vnet = true, .checksum = true, .tso = (mode & 4) != 0, .uso = (mode & 8) != 0};
  test::Batched batch;
  while (!in.empty() && batch.ends.size() < 40 && batch.data.size() < 400'000) {
    if (const uint8_t kind = in.u8(); kind % 4 == 0) batch.add(in.piece());
    else if (kind % 16 == 1) batch.ends.push_back(in.u16());
    else batch.add(almost_right(in));
  }
  batch.data.shrink_to_fit();
  test::PortDevice device;
  PortCounters counters;
  PortWriter writer(items, kMtu, offloads, device, counters);
  writer.write(batch.data, batch.ends);

  uint64_t packets = 0;
  for (const test::Written& w : device.writes) {
    packets += w.packets;
    if (items == PortItems::frames) {
      EXPECT(w.packet.size() >= kMinFrame && w.packet.size() <= kMtu + kMaxFrameHeader);
    } else {
      IpHeader ip;
      EXPECT(parse_ip(w.packet, ip));
    }
    if (w.header.gso_type != VnetHeader::kGsoNone) {
      EXPECT(items != PortItems::frames && (w.header.gso_type == VnetHeader::kGsoUdp ? offloads.uso : offloads.tso));
      check_super(w);
    } else {
      const VnetHeader none;
      EXPECT(memcmp(&w.header, &none, sizeof none) == 0);
    }
  }
  EXPECT(packets == counters.rx.packets.get());
  uint64_t dropped = 0;
  for (const Counter& c : counters.drops) dropped += c.get();
  const uint64_t bad = counters.drops[static_cast<size_t>(PortDrop::bad_batch)].get();
  EXPECT(bad <= 1 && (bad == 1 || packets + dropped >= batch.ends.size()));
  return 0;
}
