#include "coalesce.h"

#include "checksum.h"
#include "ip_protocol.h"

namespace vpnd {

namespace {

// Linux cuts TCP no smaller, so it is not asked to.
constexpr size_t kMinTcpSegment = 8;
constexpr uint8_t kPush = 0x08, kAck = 0x10;
constexpr size_t kMaxSize = 65535;
constexpr uint32_t kDontFragment = 0x4000;

uint64_t word(const uint8_t* p) noexcept {
  uint64_t value;
  memcpy(&value, p, 8);
  return value;
}

// Any hash does: what it finds is compared, and who makes collisions only hurts his own flows.
uint64_t mix(uint64_t a, uint64_t b) noexcept {
  const uint64_t product = (a ^ b) * 0x9e3779b97f4a7c15;
  return product ^ product >> 29;
}

uint64_t hash_addresses(const uint8_t* ip) noexcept {
  if (ip[0] >> 4 == 4) return mix(word(ip + 12), 4);
  return mix(mix(word(ip + 8), word(ip + 16)), mix(word(ip + 24) + 6, word(ip + 32)));
}

// All that must be the same in the IP headers besides the addresses, IPv4's id aside: also TTL, TOS with ECN, flow label.
bool same_ip(const uint8_t* a, const uint8_t* b) noexcept {
  if (a[0] >> 4 == 4) return load16(a) == load16(b) && load32(a + 6) == load32(b + 6);
  return load32(a) == load32(b) && load16(a + 6) == load16(b + 6);
}

bool same_addresses(const uint8_t* a, const uint8_t* b) noexcept {
  if (a[0] >> 4 != b[0] >> 4) return false;
  return a[0] >> 4 == 4 ? word(a + 12) == word(b + 12) : memcmp(a + 8, b + 8, 32) == 0;
}

// Acknowledgement, lengths and flags (but PSH), window, urgent pointer and options.
bool same_tcp(const uint8_t* a, const uint8_t* b, size_t size) noexcept {
  return load32(a + 8) == load32(b + 8) && a[12] == b[12] && load16(a + 14) == load16(b + 14) && load16(a + 18) == load16(b + 18) &&
         memcmp(a + kTcpHeader, b + kTcpHeader, size - kTcpHeader) == 0;
}

}  // namespace

struct Coalescer::Packet {
  View bytes;
  uint64_t addresses = 0;
  uint64_t flow = 0;
  size_t transport = 0;
  size_t headers = 0;
  bool udp = false;
  bool mergeable = false;  // may be part of a group

  const uint8_t* ip() const noexcept { return bytes.data(); }
  size_t payload() const noexcept { return bytes.size() - headers; }
};

namespace {

// Behind PSH nothing is merged.
bool begins_group(const Coalescer::Packet& packet) noexcept {
  return packet.udp || (packet.payload() >= kMinTcpSegment && (packet.bytes[packet.transport + 13] & kPush) == 0);
}

bool checksums_are_right(const uint8_t* ip, size_t size, size_t transport, uint8_t protocol) noexcept {
  if (ip[0] >> 4 == 4 && !sum_is_right(sum_bytes({ip, transport}))) return false;
  const size_t length = size - transport;
  return sum_is_right(pseudo_sum(ip, protocol) + sum_word(static_cast<uint32_t>(length)) + sum_bytes({ip + transport, length}));
}

}  // namespace

Coalescer::Coalescer(Options options, Sink& sink) noexcept : options_(options), sink_(sink) {}

// False: TCP's and UDP's ports are not where one expects them, or the TUN takes this kind singly.
bool Coalescer::parse(View packet, Packet& out) const noexcept {
  const uint8_t* p = packet.data();
  const bool four = p[0] >> 4 == 4;
  const uint8_t protocol = p[four ? 9 : 6];
  out.transport = four ? 20 : 40;
  if (four && (p[0] != 0x45 || (load16(p + 6) & 0xbfff) != 0)) return false;
  out.udp = protocol == kUdp;
  const uint8_t* transport = p + out.transport;
  const size_t size = packet.size() - out.transport;
  if (out.udp) {
    if (!options_.udp || size < kUdpHeader || load16(transport + 4) != size) return false;
    out.headers = out.transport + kUdpHeader;
    out.mergeable = size > kUdpHeader && load16(transport + kUdpChecksum) != 0;
  } else {
    if (protocol != kTcp || !(four ? options_.tcp4 : options_.tcp6) || size < kTcpHeader) return false;
    const size_t length = (transport[12] >> 4) * size_t{4};
    if (length < kTcpHeader || length > size) return false;
    out.headers = out.transport + length;
    out.mergeable = size > length && (transport[12] & 15) == 0 && (transport[13] & ~kPush) == kAck;
  }
  out.flow = mix(out.addresses, load32(transport) + (out.udp ? uint64_t{1} << 32 : 0));
  return true;
}

void Coalescer::add(View bytes, void* owner) noexcept {
  Packet packet{.bytes = bytes};
  packet.addresses = hash_addresses(bytes.data());
  if (!parse(bytes, packet)) {
    if (used_ > 0) flush_addresses(packet.addresses);
    return write_single(bytes, owner);
  }
  Group* group = find(packet, owner);
  if (group) {
    if (packet.mergeable && merge(*group, packet)) return;
    write_group(*group);
  }
  if (!packet.mergeable || !begins_group(packet)) return write_single(bytes, owner);
  open(packet, owner);
}

Coalescer::Group* Coalescer::find(const Packet& packet, void* owner) noexcept {
  if (used_ == 0) return nullptr;
  for (size_t i = 0; i < kGroups; i++) {
    Group& group = groups_[i];
    if (flows_[i] != packet.flow || !group.first || group.owner != owner || group.udp != packet.udp) continue;
    const bool same_ports = load32(group.first + group.transport) == load32(packet.ip() + packet.transport);
    if (same_ports && same_addresses(group.first, packet.ip())) return &group;
  }
  return nullptr;
}

// False: the packet does not belong to the group's end.
bool Coalescer::merge(Group& group, const Packet& packet) noexcept {
  const uint8_t* a = group.first;
  const uint8_t* b = packet.ip();
  const size_t payload = packet.payload();
  if (payload > group.segment || group.headers + group.payload + payload > kMaxSize || packet.headers != group.headers) return false;
  if (group.packets == (group.udp ? kMaxDatagrams : kMaxPackets) || !same_ip(a, b)) return false;
  const bool four = a[0] >> 4 == 4;
  // An id means something only where routers may fragment (RFC 6864).
  if (four && (load16(a + 6) & kDontFragment) == 0 && load16(b + 4) != group.next_id) return false;
  const uint8_t* tcp = b + packet.transport;
  if (!group.udp && (load32(tcp + 4) != group.next_sequence || !same_tcp(a + group.transport, tcp, packet.headers - packet.transport))) {
    return false;
  }
  const uint8_t protocol = group.udp ? kUdp : kTcp;
  if (!group.verified && !checksums_are_right(a, group.headers + group.segment, group.transport, protocol)) return false;
  group.verified = true;
  if (!checksums_are_right(b, packet.bytes.size(), packet.transport, protocol)) return false;

  if (group.packets == 1) group.parts[1] = {const_cast<uint8_t*>(a) + group.headers, group.segment};
  group.packets++;
  group.parts[group.packets] = {const_cast<uint8_t*>(b) + packet.headers, payload};
  group.payload += payload;
  group.next_sequence += static_cast<uint32_t>(payload);
  group.next_id++;
  group.push = !group.udp && (tcp[13] & kPush) != 0;
  if (payload < group.segment || group.push) write_group(group);
  return true;
}

void Coalescer::open(const Packet& packet, void* owner) noexcept {
  size_t i = 0;
  if (used_ == kGroups) {
    i = victim_++ % kGroups;
    write_group(groups_[i]);
  } else {
    while (groups_[i].first) i++;
  }
  used_++;
  flows_[i] = packet.flow;
  Group& group = groups_[i];
  group.addresses = packet.addresses;
  group.owner = owner;
  group.first = packet.ip();
  group.transport = packet.transport;
  group.headers = packet.headers;
  group.segment = group.payload = packet.payload();
  group.packets = 1;
  group.udp = packet.udp;
  group.verified = group.push = false;
  if (!packet.udp) group.next_sequence = load32(packet.ip() + packet.transport + 4) + static_cast<uint32_t>(group.payload);
  group.next_id = static_cast<uint16_t>(load16(packet.ip() + 4) + 1);
}

void Coalescer::flush() noexcept {
  for (size_t i = 0; used_ > 0; i++) {
    if (groups_[i].first) write_group(groups_[i]);
  }
}

void Coalescer::flush_addresses(uint64_t addresses) noexcept {
  for (Group& group : groups_) {
    if (group.first && group.addresses == addresses) write_group(group);
  }
}

void Coalescer::write_group(Group& group) noexcept {
  if (group.packets == 1) write_single({group.first, group.headers + group.segment}, group.owner);
  else write_merged(group);
  group.first = nullptr;
  used_--;
}

// Builds the headers of the large packet as the kernel wants them from one that has offloads.
void Coalescer::write_merged(Group& group) noexcept {
  const bool four = group.first[0] >> 4 == 4;
  const size_t size = group.headers + group.payload;
  const uint32_t length = static_cast<uint32_t>(size - group.transport);
  uint8_t* ip = head_.data() + sizeof(VnetHeader);
  uint8_t* transport = ip + group.transport;
  memcpy(ip, group.first, group.headers);
  if (four) {
    store16(ip + 2, static_cast<uint32_t>(size));
    store16(ip + 10, 0);
    write_checksum(ip + 10, sum_bytes({ip, group.transport}));
  } else {
    store16(ip + 4, length);
  }
  if (group.udp) store16(transport + 4, length);
  else if (group.push) transport[13] |= kPush;
  // The pseudo-header's sum, not complemented: the kernel adds the rest.
  const size_t field = group.udp ? kUdpChecksum : kTcpChecksum;
  write_sum(transport + field, fold_sum(pseudo_sum(ip, group.udp ? kUdp : kTcp) + sum_word(length)));

  const VnetHeader header{
      .flags = VnetHeader::kNeedsChecksum,
      .gso_type = group.udp ? VnetHeader::kGsoUdp : four ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoTcp6,
      .header_length = static_cast<uint16_t>(group.headers),
      .gso_size = static_cast<uint16_t>(group.segment),
      .checksum_start = static_cast<uint16_t>(group.transport),
      .checksum_offset = static_cast<uint16_t>(field),
  };
  memcpy(head_.data(), &header, sizeof header);
  group.parts[0] = {head_.data(), sizeof header + group.headers};
  sink_.write(group.parts.data(), static_cast<int>(group.packets) + 1, group.packets, size, group.owner);
}

void Coalescer::write_single(View packet, void* owner) noexcept {
  const iovec parts[2] = {{&plain_, sizeof plain_}, {const_cast<uint8_t*>(packet.data()), packet.size()}};
  sink_.write(parts, 2, 1, packet.size(), owner);
}

}  // namespace vpnd
