// IP addresses, prefixes and UDP endpoints as small comparable values.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

namespace vpnd {

// IPv4 occupies the first 4 bytes, the rest is zero.
struct Address {
  std::array<uint8_t, 16> bytes{};
  uint8_t family = 0;  // 4, 6, or 0 for none

  static Address v4(const uint8_t* p) {
    Address a;
    a.family = 4;
    memcpy(a.bytes.data(), p, 4);
    return a;
  }
  static Address v6(const uint8_t* p) {
    Address a;
    a.family = 6;
    memcpy(a.bytes.data(), p, 16);
    return a;
  }
  unsigned bits() const { return family == 4 ? 32 : 128; }
  bool operator==(const Address&) const = default;
  static std::optional<Address> parse(const std::string& text);
  std::string text() const;
};

struct Prefix {
  Address address;  // bits beyond length are zero
  uint8_t length = 0;
  bool operator==(const Prefix&) const = default;
  // "10.0.0.2/32"; a bare address is a host prefix. Host bits are cleared.
  static std::optional<Prefix> parse(const std::string& text);
};

// Returns the address with all bits beyond length cleared.
Address masked(const Address& address, unsigned length);

struct Endpoint {
  Address address;
  uint16_t port = 0;

  bool operator==(const Endpoint&) const = default;
  bool valid() const { return address.family != 0; }
  // "ADDR:PORT" or "[ADDR]:PORT".
  static std::optional<Endpoint> parse(const std::string& text);
  std::string text() const;
  static Endpoint from(const sockaddr* sa);
  // Returns the length used of `out`.
  socklen_t to(sockaddr_storage& out) const;
};

uint64_t hash_bytes(const void* data, size_t size, uint64_t seed);

struct EndpointHash {
  size_t operator()(const Endpoint& e) const {
    return hash_bytes(e.address.bytes.data(), 16, static_cast<uint64_t>(e.port) << 8 | e.address.family);
  }
};

}  // namespace vpnd
