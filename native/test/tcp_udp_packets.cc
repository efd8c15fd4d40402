#include "tcp_udp_packets.h"

#include <algorithm>

#include "check.h"
#include "ip_packet.h"

namespace vpnd::test {

namespace {

uint16_t fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

void append(Bytes& to, View bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

void append16(Bytes& to, uint32_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}

void append32(Bytes& to, uint32_t value) {
  append16(to, value >> 16);
  append16(to, value & 0xffff);
}

Bytes addresses(const PacketSpec& spec, std::optional<uint8_t> last) {
  Bytes out;
  for (const uint8_t host : {spec.host, last.value_or(9)}) {
    if (spec.six) append(out, Bytes{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host});
    else append(out, Bytes{10, 9, 0, host});
  }
  return out;
}

Bytes ip_header(const PacketSpec& spec, size_t payload) {
  Bytes h;
  const uint8_t protocol = spec.udp ? 17 : 6;
  if (spec.six) {
    append32(h, 0x60000000u | static_cast<uint32_t>(spec.tos) << 20);
    append16(h, static_cast<uint32_t>(spec.ip_options.size() + payload));
    h.push_back(spec.ip_options.empty() ? protocol : spec.first_extension);
    h.push_back(spec.ttl);
  } else {
    const size_t size = 20 + spec.ip_options.size();
    append(h, Bytes{static_cast<uint8_t>(0x40 | size / 4), spec.tos});
    append16(h, static_cast<uint32_t>(size + payload));
    append16(h, spec.id);
    append16(h, spec.dont_fragment ? 0x4000 : 0);
    append(h, Bytes{spec.ttl, protocol, 0, 0});
  }
  append(h, addresses(spec, std::nullopt));
  append(h, spec.ip_options);
  if (!spec.six) store16(&h[10], static_cast<uint16_t>(~fold(plain_sum(h))));
  return h;
}

Bytes transport_header(const PacketSpec& spec) {
  Bytes h;
  append16(h, spec.from);
  append16(h, spec.to);
  if (spec.udp) {
    append16(h, static_cast<uint32_t>(8 + spec.payload.size()));
    append16(h, 0);
    return h;
  }
  append32(h, spec.sequence);
  append32(h, spec.acknowledgement);
  h.push_back(static_cast<uint8_t>((20 + spec.tcp_options.size()) / 4 << 4));
  h.push_back(spec.flags);
  append16(h, spec.window);
  append32(h, 0);
  append(h, spec.tcp_options);
  return h;
}

uint64_t pseudo(const PacketSpec& spec, size_t length) {
  return plain_sum(addresses(spec, spec.last_host)) + (spec.udp ? 17 : 6) + length;
}

Bytes build_with(const PacketSpec& spec, bool partial) {
  Bytes transport = transport_header(spec);
  const size_t field = spec.udp ? 6 : 16, size = transport.size() + spec.payload.size();
  if (partial) {
    store16(&transport[field], fold(pseudo(spec, size)));
  } else {
    const uint16_t sum = static_cast<uint16_t>(~fold(pseudo(spec, size) + plain_sum(transport) + plain_sum(spec.payload)));
    store16(&transport[field], spec.udp && sum == 0 ? 0xffff : sum);
  }
  Bytes packet = ip_header(spec, size);
  append(packet, transport);
  append(packet, spec.payload);
  return packet;
}

}  // namespace

uint64_t plain_sum(View data) {
  uint64_t sum = 0;
  for (size_t i = 0; i < data.size(); i++) sum += i % 2 ? data[i] : static_cast<uint64_t>(data[i]) << 8;
  return sum;
}

Bytes build(const PacketSpec& spec) { return build_with(spec, false); }

Super build_super(const PacketSpec& spec, uint16_t gso_size) {
  const size_t ip = (spec.six ? 40 : 20) + spec.ip_options.size();
  Super super{{}, build_with(spec, true)};
  super.header.flags = VnetHeader::kNeedsChecksum;
  super.header.gso_type = spec.udp ? VnetHeader::kGsoUdp : spec.six ? VnetHeader::kGsoTcp6 : VnetHeader::kGsoTcp4;
  super.header.gso_size = gso_size;
  super.header.checksum_start = static_cast<uint16_t>(ip);
  super.header.checksum_offset = spec.udp ? 6 : 16;
  return super;
}

std::vector<Bytes> split_plainly(const PacketSpec& spec, size_t segment) {
  std::vector<Bytes> out;
  size_t at = 0;
  do {
    PacketSpec one = spec;
    const size_t end = std::min(at + segment, spec.payload.size());
    one.payload.assign(spec.payload.begin() + static_cast<ptrdiff_t>(at), spec.payload.begin() + static_cast<ptrdiff_t>(end));
    one.sequence += static_cast<uint32_t>(at);
    one.id = static_cast<uint16_t>(one.id + out.size());
    if (at > 0) one.flags &= 0x7f;
    if (end < spec.payload.size()) one.flags &= 0xf6;
    out.push_back(build(one));
    at = end;
  } while (at < spec.payload.size());
  return out;
}

Layout layout(View packet) {
  const bool four = packet[0] >> 4 == 4;
  uint8_t next = packet[four ? 9 : 6];
  size_t at = four ? static_cast<size_t>(packet[0] & 15) * 4 : 40;
  if (four && (load16(&packet[6]) & 0x3fff) != 0) return {};
  while (!four && (next == 0 || next == 43 || next == 60)) {
    if (at + 8 > packet.size()) return {};
    next = packet[at];
    at += (static_cast<size_t>(packet[at + 1]) + 1) * 8;
  }
  if ((next != 6 && next != 17) || at + (next == 6 ? 20 : 8) > packet.size()) return {};
  const size_t header = next == 17 ? 8 : static_cast<size_t>(packet[at + 12] >> 4) * 4;
  if ((next == 6 && header < 20) || at + header > packet.size()) return {};
  return {next, at, at + header};
}

bool is_right(View packet) {
  IpHeader header;
  if (!parse_ip(packet, header)) return false;
  const Layout where = layout(packet);
  if (where.protocol == 0) return false;
  const bool four = header.version == 4;
  if (four && fold(plain_sum(packet.first(static_cast<size_t>(packet[0] & 15) * 4))) != 0xffff) return false;
  const View transport = packet.subspan(where.transport);
  if (where.protocol == 17 && (load16(&transport[4]) != transport.size() || load16(&transport[6]) == 0)) return false;
  const uint64_t sum = plain_sum(four ? packet.subspan(12, 8) : packet.subspan(8, 32)) + where.protocol + transport.size();
  return fold(sum + plain_sum(transport)) == 0xffff;
}

Bytes random_bytes(size_t size) {
  Bytes out(size);
  for (uint8_t& b : out) b = static_cast<uint8_t>(test::random()());
  return out;
}

size_t pick(size_t low, size_t high) { return low + test::random()() % (high - low + 1); }

}  // namespace vpnd::test
