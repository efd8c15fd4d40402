// What a hostile carrier writes into a packet port: the device gets whole packets of the right kind only, each with a header that
// describes it, and everything is counted.
#include "../test/port_device.h"
#include "ip_packet.h"
#include "items.h"

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  const uint8_t mode = in.u8();
  const auto items = static_cast<PortItems>(mode % 3);
  const TunOffloads offloads{.vnet = true, .checksum = true, .tso = (mode & 4) != 0, .uso = (mode & 8) != 0};
  test::Batched batch;
  while (!in.empty() && batch.ends.size() < 40 && batch.data.size() < 400'000) add_item(in, batch);
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
