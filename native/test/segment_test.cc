#include "segment.h"

#include <algorithm>

#include "check.h"
#include "checksum.h"
#include "tcp_udp_packets.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

// As the engine does with what it gets: changes the byte behind and puts it back.
std::vector<Bytes> split(Super super, size_t max_packet) {
  super.packet.push_back(0xa5);
  const std::span<uint8_t> packet(super.packet.data(), super.packet.size() - 1);
  Segmenter segmenter;
  if (!segmenter.begin(super.header, packet, max_packet)) return {};
  std::vector<Bytes> out;
  for (;;) {
    const std::span<uint8_t> next = segmenter.next();
    if (next.empty()) break;
    CHECK(next.data() >= packet.data() && next.data() + next.size() <= packet.data() + packet.size());
    uint8_t& behind = *(next.data() + next.size());
    const uint8_t before = behind;
    behind = 0x40;
    out.emplace_back(next.begin(), next.end());
    behind = before;
  }
  CHECK(segmenter.count() == out.size());
  CHECK(segmenter.next().empty());
  CHECK(super.packet.back() == 0xa5);
  return out;
}

bool refused(const VnetHeader& header, Bytes packet, size_t max_packet = 65535) { return split({header, std::move(packet)}, max_packet).empty(); }

PacketSpec random_spec() {
  PacketSpec spec;
  spec.six = pick(0, 1) == 0;
  spec.udp = pick(0, 2) == 0;
  spec.tos = static_cast<uint8_t>(pick(0, 255));
  spec.id = static_cast<uint16_t>(pick(0, 65535));
  spec.dont_fragment = pick(0, 1) == 0;
  spec.sequence = static_cast<uint32_t>(test::random()());
  spec.flags = static_cast<uint8_t>(0x10 | (test::random()() & 0xc9));
  if (!spec.six) spec.ip_options = random_bytes(4 * pick(0, 10));
  spec.tcp_options = random_bytes(4 * pick(0, 10));
  spec.payload = random_bytes(pick(1, pick(0, 3) == 0 ? 65535 - 200 : 5000));
  return spec;
}

}  // namespace

TEST(segment_random, "splitting: any TCP or UDP super-packet gives what plain code gives") {
  for (int i = 0; i < 600; i++) {
    PacketSpec spec = random_spec();
    if (spec.six && pick(0, 1) == 0) {
      spec.first_extension = 60;
      spec.ip_options = random_bytes(16);
      spec.ip_options[0] = spec.udp ? 17 : 6;
      spec.ip_options[1] = 1;
    }
    const uint16_t gso_size = static_cast<uint16_t>(pick(8, pick(0, 1) == 0 ? 64 : 2000));
    const std::vector<Bytes> out = split(build_super(spec, gso_size), 65535);
    CHECK(out == split_plainly(spec, gso_size));
    CHECK(std::all_of(out.begin(), out.end(), [](const Bytes& p) { return is_right(p); }));
  }
}

TEST(segment_jumbo, "splitting: the largest packet, and a size that leaves one byte for the last") {
  PacketSpec spec;
  spec.payload = random_bytes(65535 - 40);
  CHECK(split(build_super(spec, 1395), 65535) == split_plainly(spec, 1395));
  spec.payload = random_bytes(1395 * 3 + 1);
  const std::vector<Bytes> out = split(build_super(spec, 1395), 65535);
  CHECK(out.size() == 4 && out.back().size() == 41 && out == split_plainly(spec, 1395));
}

TEST(segment_flags, "splitting: FIN and PSH on the last only, CWR on the first only, ECE on all") {
  PacketSpec spec;
  spec.flags = 0x10 | 0x01 | 0x08 | 0x40 | 0x80;
  spec.payload = random_bytes(300);
  Super super = build_super(spec, 100);
  super.header.gso_type |= VnetHeader::kGsoEcn;
  const std::vector<Bytes> out = split(super, 65535);
  CHECK(out.size() == 3 && out[0][33] == 0xd0 && out[1][33] == 0x50 && out[2][33] == 0x59);
}

TEST(segment_max_packet, "splitting: TCP is cut smaller to fit, datagrams are not") {
  PacketSpec spec;
  spec.tcp_options = random_bytes(12);
  spec.payload = random_bytes(9000);
  CHECK(split(build_super(spec, 1448), 1280) == split_plainly(spec, 1280 - 52));
  CHECK(split(build_super(spec, 1448), 60).size() == 9000 / 8);
  CHECK(split(build_super(spec, 1448), 59).empty());
  CHECK(split(build_super(spec, 1448), 0).empty());
  spec.udp = true;
  CHECK(split(build_super(spec, 1448), 1280) == split_plainly(spec, 1448));
}

TEST(segment_one, "splitting: a super-packet that is one segment, with and without payload") {
  PacketSpec spec;
  spec.flags = 0x99;
  for (const size_t size : {0, 1, 99, 100}) {
    spec.payload = random_bytes(size);
    for (const bool udp : {false, true}) {
      spec.udp = udp;
      CHECK(split(build_super(spec, 100), 65535) == std::vector<Bytes>{build(spec)});
    }
  }
}

TEST(segment_single, "splitting: a packet without GSO goes as it is, its checksum completed when asked for") {
  for (const bool six : {false, true}) {
    for (const bool udp : {false, true}) {
      PacketSpec spec;
      spec.six = six;
      spec.udp = udp;
      for (size_t size = 0; size < 300; size++) {
        spec.payload = random_bytes(size);
        Super super = build_super(spec, 0);
        super.header.gso_type = VnetHeader::kGsoNone;
        CHECK(split(super, 1280) == std::vector<Bytes>{build(spec)});
        CHECK(split({{}, super.packet}, 1280) == std::vector<Bytes>{super.packet});
      }
    }
  }
}

TEST(segment_udp_zero, "splitting: a datagram whose checksum would be 0 has 0xffff") {
  PacketSpec spec;
  spec.udp = true;
  spec.payload = Bytes(2);
  // The payload that makes the sum come out as zero.
  const Bytes plain = build(spec);
  memcpy(spec.payload.data(), &plain[26], 2);
  Super super = build_super(spec, 2);
  for (const uint8_t type : {VnetHeader::kGsoUdp, VnetHeader::kGsoNone}) {
    super.header.gso_type = type;
    const std::vector<Bytes> out = split(super, 65535);
    CHECK(out.size() == 1 && load16(&out[0][26]) == 0xffff);
  }
}

TEST(segment_extensions, "splitting: behind IPv6 extension headers; with a routing header the kernel's own sum counts") {
  PacketSpec spec;
  spec.six = true;
  spec.payload = random_bytes(1000);
  // Hop-by-hop, then destination options of 16 bytes.
  spec.ip_options = {60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  CHECK(split(build_super(spec, 333), 65535) == split_plainly(spec, 333));
  // Routing: the last destination is another.
  spec.first_extension = 43;
  spec.ip_options = random_bytes(24);
  spec.ip_options[0] = 6;
  spec.ip_options[1] = 2;
  spec.last_host = 200;
  const Super super = build_super(spec, 333);
  CHECK(split(super, 65535) == split_plainly(spec, 333));
  VnetHeader without = super.header;
  without.flags = 0;
  CHECK(refused(without, super.packet));
  // More headers than are walked through.
  spec.ip_options.resize(8 * 100);
  spec.ip_options[1] = 99;
  CHECK(split(build_super(spec, 333), 65535).empty());
}

TEST(segment_malformed, "splitting: what does not fit together is refused") {
  PacketSpec spec;
  spec.payload = random_bytes(500);
  const Super good = build_super(spec, 100);
  CHECK(!refused(good.header, good.packet));
  const auto with = [&](auto change) {
    Super s = good;
    change(s);
    return refused(s.header, s.packet);
  };
  CHECK(with([](Super& s) { s.header.gso_size = 0; }));
  CHECK(with([](Super& s) { s.header.gso_size = 7; }));
  CHECK(!with([](Super& s) { s.header.gso_size = 8; }));
  CHECK(with([](Super& s) { s.header.gso_type = VnetHeader::kGsoTcp6; }));
  CHECK(with([](Super& s) { s.header.gso_type = VnetHeader::kGsoUdp; }));
  CHECK(with([](Super& s) { s.header.gso_type = 3; }));  // UFO
  CHECK(with([](Super& s) { s.header.gso_type = 99; }));
  CHECK(with([](Super& s) { s.header.checksum_start = 24; }));
  CHECK(with([](Super& s) { s.header.checksum_offset = 6; }));
  CHECK(with([](Super& s) { s.packet[0] = 0x4f; s.packet.resize(30); store16(&s.packet[2], 30); }));
  CHECK(with([](Super& s) { s.packet[0] = 0x44; }));
  CHECK(with([](Super& s) { s.packet[6] = 0x20; }));  // first fragment
  CHECK(with([](Super& s) { s.packet[7] = 1; }));     // later fragment
  CHECK(with([](Super& s) { s.packet[9] = 17; }));
  CHECK(with([](Super& s) { s.packet[32] = 0x40; }));  // TCP header of 16
  CHECK(with([](Super& s) { s.packet[32] = 0xf0; s.packet.resize(79); store16(&s.packet[2], 79); }));
  for (size_t size = 0; size < 540; size++) {
    CHECK(with([&](Super& s) { s.packet.resize(size); }));
    if (size < 40) CHECK(with([&](Super& s) { s.packet.resize(size); if (size >= 4) store16(&s.packet[2], static_cast<uint32_t>(size)); }));
  }

  VnetHeader single{.flags = VnetHeader::kNeedsChecksum, .checksum_start = 20, .checksum_offset = 518};
  CHECK(!refused(single, good.packet));
  single.checksum_offset = 519;
  CHECK(refused(single, good.packet));
  // Into the IP header's lengths.
  for (const uint16_t start : std::vector<uint16_t>{0, 2, 19}) {
    single.checksum_start = start;
    single.checksum_offset = 0;
    CHECK(refused(single, good.packet));
  }
  single.checksum_start = single.checksum_offset = 65535;
  CHECK(refused(single, good.packet));
}

TEST(checksum_plain, "checksum: the same as plain code for every length, place and many bits") {
  for (const bool ones : {false, true}) {
    for (size_t size = 0; size < 700; size++) {
      const size_t at = pick(0, 7);
      const Bytes data = ones ? Bytes(at + size, 0xff) : random_bytes(at + size);
      const View part = View(data).subspan(at);
      uint8_t field[2];
      write_sum(field, fold_sum(sum_bytes(part)));
      CHECK((load16(field) - plain_sum(part)) % 65535 == 0 || (plain_sum(part) - load16(field)) % 65535 == 0);
      CHECK((load16(field) == 0) == (plain_sum(part) == 0));
    }
  }
  const Bytes large(65535, 0xff);
  CHECK(fold_sum(sum_bytes(large) * 1000) != 0);
  CHECK(fold_sum(0x1ffff) == 1 && fold_sum(~uint64_t{0}) == 0xffff && fold_sum(0) == 0 && fold_sum(0xffff0000ffff) == 0xffff);
  CHECK(fold_sum(sum_dword(0x12345678)) == fold_sum(sum_word(0x1234) + sum_word(0x5678)));
  CHECK(fold_sum(sum_word(0x1234) + sum_without(sum_word(0x1234)) + sum_word(7)) == fold_sum(sum_word(7)));
}
