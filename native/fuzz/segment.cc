// Super-packets from the TUN: right ones are split as plain code does it, of others nothing but whole packets comes out.
#include "segment.h"

#include <algorithm>

#include "../test/tcp_udp_packets.h"
#include "input.h"
#include "ip_packet.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

// With the one byte behind the packet, so that a read or write beyond it is seen.
std::vector<Bytes> split(const VnetHeader& header, View packet, size_t max_packet, bool& taken) {
  Bytes buffer = copy(packet);
  buffer.reserve(packet.size() + 1);
  buffer.push_back(0xa5);
  buffer.shrink_to_fit();
  Segmenter segmenter;
  taken = segmenter.begin(header, std::span(buffer).first(packet.size()), max_packet);
  std::vector<Bytes> out;
  if (!taken) return out;
  for (std::span<uint8_t> next = segmenter.next(); !next.empty(); next = segmenter.next()) {
    EXPECT(next.data() >= buffer.data() && next.data() + next.size() < buffer.data() + buffer.size());
    uint8_t& behind = *(next.data() + next.size());
    const uint8_t before = behind;
    behind = 0;
    out.emplace_back(next.begin(), next.end());
    behind = before;
  }
  EXPECT(out.size() == segmenter.count() && !out.empty() && segmenter.next().empty() && buffer.back() == 0xa5);
  return out;
}

bool has_routing(View packet) {
  if (packet[0] >> 4 != 6) return false;
  uint8_t next = packet[6];
  for (size_t at = 40; at + 8 <= packet.size() && (next == 0 || next == 43 || next == 60); at += (packet[at + 1] + size_t{1}) * 8) {
    if (next == 43) return true;
    next = packet[at];
  }
  return false;
}

// Any bytes, the lengths put right if the input wants it.
void any(Input& in) {
  VnetHeader header;
  header.flags = in.u8();
  header.gso_type = in.u8();
  header.gso_size = in.u16();
  header.checksum_start = in.u16();
  header.checksum_offset = in.u16();
  const uint8_t fix = in.u8();
  const size_t max_packet = in.u16();
  Bytes packet = copy(in.rest());
  if (packet.size() > 65535) return;
  if ((fix & 1) != 0 && packet.size() >= 40) {
    if (packet[0] >> 4 == 4) store16(&packet[2], static_cast<uint32_t>(packet.size()));
    else store16(&packet[4], static_cast<uint32_t>(packet.size() - 40));
  }
  if ((fix & 2) != 0 && packet.size() >= 40) {
    const test::Layout where = test::layout(packet);
    header.checksum_start = static_cast<uint16_t>(where.transport);
    header.checksum_offset = where.protocol == 6 ? 16 : 6;
  }
  bool taken;
  const std::vector<Bytes> out = split(header, packet, max_packet, taken);
  if (!taken) return;
  IpHeader ip;
  EXPECT(parse_ip(packet, ip) && std::all_of(out.begin(), out.end(), [&](const Bytes& p) { return parse_ip(p, ip); }));
  const uint8_t type = header.gso_type & 0x7f;
  if (type == VnetHeader::kGsoNone) {
    EXPECT(out.size() == 1 && out[0].size() == packet.size());
    return;
  }
  const size_t headers = test::layout(packet).payload;
  EXPECT(headers > 0);
  Bytes payload;
  for (const Bytes& p : out) {
    EXPECT(has_routing(p) || test::is_right(p));
    EXPECT(test::layout(p).payload == headers && p.size() - headers <= header.gso_size);
    EXPECT(type == VnetHeader::kGsoUdp || p.size() <= max_packet);
    payload.insert(payload.end(), p.begin() + static_cast<ptrdiff_t>(headers), p.end());
  }
  EXPECT(std::equal(payload.begin(), payload.end(), packet.begin() + static_cast<ptrdiff_t>(headers), packet.end()));
}

void right(Input& in) {
  test::PacketSpec spec;
  const uint8_t bits = in.u8();
  spec.six = bits & 1;
  spec.udp = bits & 2;
  spec.dont_fragment = bits & 4;
  spec.tos = in.u8();
  spec.id = in.u16();
  spec.sequence = static_cast<uint32_t>(in.u16()) << 16 | in.u16();
  spec.flags = in.u8();
  spec.tcp_options.resize(in.u8() % 11 * size_t{4}, 1);
  spec.ip_options.resize(in.u8() % 11 * size_t{4}, 1);
  if (spec.six) {
    spec.ip_options.resize(spec.ip_options.size() / 8 * 8);
    if (!spec.ip_options.empty()) {
      spec.first_extension = bits & 8 ? 60 : bits & 16 ? 43 : 0;
      spec.ip_options[0] = spec.udp ? 17 : 6;
      spec.ip_options[1] = static_cast<uint8_t>(spec.ip_options.size() / 8 - 1);
      if (spec.first_extension == 43) spec.last_host = 77;
    }
  }
  const uint16_t gso_size = in.u16();
  const size_t max_packet = in.u16();
  const size_t repeat = in.u8() + size_t{1};
  const View some = in.rest();
  for (size_t i = 0; i < repeat && spec.payload.size() + some.size() < 65000; i++) {
    spec.payload.insert(spec.payload.end(), some.begin(), some.end());
  }
  if (spec.payload.size() > 65000) return;
  if (spec.payload.size() / std::max<size_t>(gso_size, 1) > 500) return;  // slow, and nothing new
  const test::Super super = test::build_super(spec, gso_size);
  const size_t headers = super.packet.size() - spec.payload.size();
  size_t segment = gso_size;
  if (!spec.udp) segment = std::min(segment, max_packet > headers ? max_packet - headers : 0);
  bool taken;
  const std::vector<Bytes> out = split(super.header, super.packet, max_packet, taken);
  EXPECT(taken == (segment >= (spec.udp ? 1 : Segmenter::kMinTcpSegment)));
  EXPECT(!taken || out == test::split_plainly(spec, segment));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  if (in.u8() % 2 == 0) any(in);
  else right(in);
  return 0;
}
