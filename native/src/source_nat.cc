#include "source_nat.h"

#include "checksum.h"
#include "transport.h"

namespace vpnd {

namespace {

constexpr size_t kIcmpHeader = 8, kIcmpChecksum = 2, kV4Checksum = 10;

size_t place_of(uint8_t version, Side side) noexcept {
  if (version == 4) return side == Side::source ? 12 : 16;
  return side == Side::source ? 8 : 24;
}
Side other(Side side) noexcept { return side == Side::source ? Side::destination : Side::source; }

// Where a transport header has a checksum over addresses too; 0: it has none.
size_t checksum_over_addresses(uint8_t protocol) noexcept {
  switch (protocol) {
    case kTcp: return kTcpChecksum;
    case kUdp: return kUdpChecksum;
    case kIcmpV6: return kIcmpChecksum;
    default: return 0;
  }
}

// What is added to a sum when `from` becomes `to`.
uint64_t change_of(uint64_t from, uint64_t to) noexcept { return to + sum_without(fold_sum(from)); }

// Mends a checksum by a change of what it is over (RFC 1624, equation 3). Returns what its own change adds to a sum over it.
uint64_t mend(uint8_t* field, uint64_t change) noexcept {
  const uint64_t before = sum_at(field);
  write_checksum(field, sum_without(before) + change);
  return change_of(before, sum_at(field));
}

uint64_t mend_transport(uint8_t* field, uint8_t protocol, uint64_t change) noexcept {
  if (protocol != kUdp) return mend(field, change);
  const uint64_t before = sum_at(field);
  if (before == 0) return 0;
  write_nonzero_checksum(field, sum_without(before) + change);
  return change_of(before, sum_at(field));
}

struct Addresses {
  View from, to;
  uint64_t change;
};

// The quoted packet of an ICMP error, which went the other way. Returns what its changes add to the error's own sum.
uint64_t replace_quoted(std::span<uint8_t> quoted, Side side, const Addresses& addresses) noexcept {
  IpHeader ip;
  Transport t;
  // Whoever forged it may quote a packet of the other family.
  if (!read_quoted(quoted, ip, t) || ip.source.bits() / 8 != addresses.from.size()) return 0;
  uint8_t* place = quoted.data() + place_of(ip.version, side);
  if (memcmp(place, addresses.from.data(), addresses.from.size()) != 0) return 0;
  memcpy(place, addresses.to.data(), addresses.to.size());
  uint64_t change = addresses.change;
  if (ip.version == 4) change += mend(&quoted[kV4Checksum], addresses.change);
  const size_t field = t.at + checksum_over_addresses(t.protocol);
  // A router may quote no more than the ports.
  if (field != t.at && t.part != Transport::Part::later && field + 2 <= quoted.size()) {
    change += mend_transport(&quoted[field], t.protocol, addresses.change);
  }
  return change;
}

}  // namespace

bool replace_address(std::span<uint8_t> packet, const VnetHeader& header, Side side, const Address& from, const Address& to) noexcept {
  Transport t;
  if (!read_transport(packet, t)) return false;
  const uint8_t version = from.family;
  const size_t size = from.bits() / 8;
  const Addresses addresses{{from.bytes.data(), size}, {to.bytes.data(), size},
                            change_of(sum_bytes({from.bytes.data(), size}), sum_bytes({to.bytes.data(), size}))};
  memcpy(&packet[place_of(version, side)], to.bytes.data(), size);
  if (version == 4) mend(&packet[kV4Checksum], addresses.change);
  // The rest of the checksum's packet is in the first fragment.
  if (t.part == Transport::Part::later) return true;

  const size_t offset = checksum_over_addresses(t.protocol);
  const bool partial = (header.flags & VnetHeader::kNeedsChecksum) != 0 && header.checksum_start == t.at;
  if (offset != 0 && partial && header.checksum_offset == offset) {
    // The sum of the pseudo-header, and no complement.
    uint8_t* field = &packet[t.at + offset];
    write_sum(field, fold_sum(sum_at(field) + addresses.change));
  } else if (offset != 0) {
    mend_transport(&packet[t.at + offset], t.protocol, addresses.change);
  }
  if (is_icmp_error(t)) {
    const uint64_t change = replace_quoted(packet.subspan(t.at + kIcmpHeader), other(side), addresses);
    if (!partial && change != 0) mend(&packet[t.at + kIcmpChecksum], change);
  }
  return true;
}

bool is_host_address(const Address& address) noexcept {
  const uint8_t first = address.bytes[0];
  if (address.family == 4) return first != 0 && first != 127 && first < 224;
  // ::/8 has no hosts' addresses, but loopback and those of other uses (RFC 4291 section 2.4).
  return address.family == 6 && first != 0 && first != 0xff && !(first == 0xfe && (address.bytes[1] & 0xc0) == 0x80);
}

SourceNat::SourceNat(const std::vector<Prefix>& given) noexcept {
  for (const Prefix& prefix : given) of(prefix.address).given = prefix.address;
}

bool SourceNat::knows(const Address& source) noexcept {
  Pair& pair = of(source);
  if (pair.learned.load(std::memory_order_relaxed)) return pair.own == source;
  if (pair.given.family == 0 || !is_host_address(source)) return false;
  pair.own = source;
  pair.learned.store(true, std::memory_order_release);
  return true;
}

std::vector<Address> SourceNat::learned() const {
  std::vector<Address> out;
  for (const Pair* pair : {&v4_, &v6_}) {
    if (pair->learned.load(std::memory_order_relaxed)) out.push_back(pair->own);
  }
  return out;
}

bool SourceNat::leaving(const VnetHeader& header, std::span<uint8_t> packet) noexcept {
  const Pair& pair = packet[0] >> 4 == 4 ? v4_ : v6_;
  return pair.own == pair.given || replace_address(packet, header, Side::source, pair.own, pair.given);
}

bool SourceNat::arriving(const VnetHeader& header, std::span<uint8_t> packet) noexcept {
  IpHeader ip;
  if (!parse_ip(packet, ip)) return true;
  const Pair& pair = of(ip.destination);
  if (!pair.learned.load(std::memory_order_acquire) || ip.destination != pair.given || pair.own == pair.given) return true;
  return replace_address(packet, header, Side::destination, pair.given, pair.own);
}

}  // namespace vpnd
