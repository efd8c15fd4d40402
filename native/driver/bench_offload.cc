// Splitting super-packets, and merging what they were split into.
#include <memory>
#include <vector>

#include "bench_case.h"
#include "bench_micro.h"
#include "bytes.h"
#include "checksum.h"
#include "coalesce.h"
#include "segment.h"

namespace vpnd::driver {

namespace {

constexpr size_t kIp = 20;

struct Kind {
  const char* name;
  uint8_t protocol;
  size_t transport;  // bytes of its header
  uint16_t gso_size;
  size_t payload;  // of the super-packet
};
constexpr Kind kKinds[] = {
    {"TCP, 1400 B", 6, 32, 1348, 48 * 1348},
    {"UDP, 1400 B", 17, 8, 1372, 46 * 1372},
    {"UDP, 92 B", 17, 8, 64, 64 * 64},
};

struct Super {
  VnetHeader header;
  Bytes packet;
};

Super make_super(const Kind& kind) {
  const size_t headers = kIp + kind.transport;
  Super super{{}, Bytes(headers + kind.payload, 0x55)};
  uint8_t* ip = super.packet.data();
  memset(ip, 0, headers);
  ip[0] = 0x45;
  store16(ip + 2, static_cast<uint32_t>(super.packet.size()));
  ip[6] = 0x40;  // may not be cut
  ip[8] = 64;
  ip[9] = kind.protocol;
  ip[12] = ip[16] = 10;
  ip[15] = 1;
  ip[19] = 2;
  write_checksum(ip + 10, sum_bytes({ip, kIp}));
  uint8_t* transport = ip + kIp;
  store16(transport, 40000);
  store16(transport + 2, 5201);
  const bool tcp = kind.protocol == 6;
  if (tcp) {
    transport[12] = 0x80;  // eight words of header
    transport[13] = 0x10;  // ACK
    transport[20] = transport[21] = 1;  // two NOPs and timestamps
    transport[22] = 8;
    transport[23] = 10;
  } else {
    store16(transport + 4, static_cast<uint32_t>(kind.transport + kind.payload));
  }
  const uint64_t pseudo = pseudo_sum(ip, kind.protocol) + sum_dword(static_cast<uint32_t>(super.packet.size() - kIp));
  super.header.flags = VnetHeader::kNeedsChecksum;
  super.header.gso_type = tcp ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoUdp;
  super.header.gso_size = kind.gso_size;
  super.header.header_length = static_cast<uint16_t>(headers);
  super.header.checksum_start = kIp;
  super.header.checksum_offset = tcp ? 16 : 6;
  // Offloaded: the field holds the sum of the pseudo-header, the rest is for whoever cuts.
  write_sum(transport + super.header.checksum_offset, fold_sum(pseudo));
  return super;
}

class Count final : public Coalescer::Sink {
 public:
  void write(const iovec* parts, int, size_t packets, size_t, void*) noexcept override {
    keep(parts);
    packets_ += packets;
    writes_++;
  }
  size_t packets_ = 0;
  size_t writes_ = 0;
};

bool bench_kind(const Kind& kind) {
  Super super = make_super(kind);
  const size_t headers = kIp + kind.transport;
  const Bytes fresh(super.packet.begin(), super.packet.begin() + static_cast<ptrdiff_t>(headers));
  const auto segmenter = std::make_unique<Segmenter>();
  const size_t count = kind.payload / kind.gso_size;
  std::vector<Bytes> packets;
  if (!segmenter->begin(super.header, super.packet, 1400)) return false;
  for (auto packet = segmenter->next(); !packet.empty(); packet = segmenter->next()) packets.emplace_back(packet.begin(), packet.end());
  if (packets.size() != count) return false;

  // Splitting writes over the packet; its headers are what it needs again.
  measure("split", kind.name, headers + kind.gso_size, count, [&] {
    memcpy(super.packet.data(), fresh.data(), fresh.size());
    segmenter->begin(super.header, super.packet, 1400);
    for (auto packet = segmenter->next(); !packet.empty(); packet = segmenter->next()) keep(packet.data());
  });
  Count sink;
  const auto coalescer = std::make_unique<Coalescer>(Coalescer::Options{true, true, true}, sink);
  measure("merge", kind.name, headers + kind.gso_size, count, [&] {
    for (const Bytes& packet : packets) coalescer->add(packet, nullptr);
    coalescer->flush();
  });
  // Otherwise it was measured how packets are refused.
  return sink.writes_ * 2 <= sink.packets_;
}

}  // namespace

bool bench_offload() {
  bool ok = true;
  for (const Kind& kind : kKinds) {
    if (bench_kind(kind)) continue;
    fprintf(stderr, "driver: %s was not split and merged\n", kind.name);
    ok = false;
  }
  return ok;
}

}  // namespace vpnd::driver
