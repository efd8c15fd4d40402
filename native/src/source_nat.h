// hot: Lets a client keep an address of its own: packets leave with the one that it was given, and what comes for that goes to its
// own (RFC 3022 section 2.1, "basic NAT": addresses alone, one for one).
#pragma once
#include <atomic>
#include <vector>

#include "ip_packet.h"
#include "vnet_header.h"

namespace vpnd {

// Which address of a packet.
enum class Side : uint8_t { source, destination };

// Writes `to` in place of `from`, of the same family, and mends the checksums that know of it (RFC 1624): IPv4's, those of TCP, UDP
// and ICMPv6, and in an ICMP error also those of the packet that it quotes, where `from` is on the other side. A zero of UDP stays.
// packet: one that parse_ip took. header: says whether the transport's checksum is whole or to be completed.
// False: the transport's header cannot be found (read_transport); nothing was changed.
bool replace_address(std::span<uint8_t> packet, const VnetHeader& header, Side side, const Address& from, const Address& to) noexcept;

// Whether a host can have this address: not multicast, loopback or unspecified, nor link-local of IPv6.
bool is_host_address(const Address& address) noexcept;

// One thread calls leaving, another arriving.
class SourceNat {
 public:
  // given: addresses, one of a family at the most. A client has no address of a family that is missing.
  explicit SourceNat(const std::vector<Prefix>& given) noexcept;

  // Whether the client sends as this; what it sends as first in each family is its own from then on.
  bool knows(const Address& source) noexcept;
  // For a packet whose source it knows. False: it cannot be changed.
  bool leaving(const VnetHeader& header, std::span<uint8_t> packet) noexcept;
  // What the client sends as, as far as that is known. By the thread that calls knows and leaving.
  std::vector<Address> learned() const;
  // A packet that came for the client. False: it cannot be changed. What is for others or no packet is let be.
  bool arriving(const VnetHeader& header, std::span<uint8_t> packet) noexcept;

 private:
  struct Pair {
    Address given, own;
    std::atomic<bool> learned{false};  // set once, after `own`
  };
  Pair& of(const Address& address) noexcept { return address.family == 4 ? v4_ : v6_; }
  Pair v4_, v6_;
};

}  // namespace vpnd
