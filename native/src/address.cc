#include "address.h"

#include <arpa/inet.h>

#include <cstdlib>

namespace vpnd {

std::optional<Address> Address::parse(const std::string& text) {
  uint8_t raw[16];
  if (inet_pton(AF_INET, text.c_str(), raw) == 1) return v4(raw);
  if (inet_pton(AF_INET6, text.c_str(), raw) == 1) return v6(raw);
  return std::nullopt;
}

std::string Address::text() const {
  char out[INET6_ADDRSTRLEN] = "";
  inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes.data(), out, sizeof out);
  return out;
}

Address masked(const Address& address, unsigned length) {
  Address out = address;
  for (unsigned i = 0; i < out.bytes.size(); i++) {
    const unsigned bit = i * 8;
    if (bit >= length) {
      out.bytes[i] = 0;
    } else if (bit + 8 > length) {
      out.bytes[i] = static_cast<uint8_t>(out.bytes[i] & (0xff00 >> (length - bit)));
    }
  }
  return out;
}

static std::optional<unsigned> parse_number(const std::string& text, unsigned max) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  const unsigned long v = strtoul(text.c_str(), nullptr, 10);
  if (v > max) return std::nullopt;
  return static_cast<unsigned>(v);
}

std::optional<Prefix> Prefix::parse(const std::string& text) {
  const size_t slash = text.find('/');
  const auto address = Address::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  unsigned length = address->bits();
  if (slash != std::string::npos) {
    const auto n = parse_number(text.substr(slash + 1), length);
    if (!n) return std::nullopt;
    length = *n;
  }
  return Prefix{masked(*address, length), static_cast<uint8_t>(length)};
}

std::optional<Endpoint> Endpoint::parse(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = Address::parse(host);
  const auto port = parse_number(text.substr(colon + 1), 65535);
  if (!address || !port || *port == 0 || bracketed != (address->family == 6)) return std::nullopt;
  return Endpoint{*address, static_cast<uint16_t>(*port)};
}

std::string Endpoint::text() const {
  const std::string host = address.family == 6 ? "[" + address.text() + "]" : address.text();
  return host + ":" + std::to_string(port);
}

Endpoint Endpoint::from(const sockaddr* sa) {
  Endpoint e;
  if (sa->sa_family == AF_INET) {
    sockaddr_in in;
    memcpy(&in, sa, sizeof in);
    e.address = Address::v4(reinterpret_cast<const uint8_t*>(&in.sin_addr));
    e.port = ntohs(in.sin_port);
  } else if (sa->sa_family == AF_INET6) {
    sockaddr_in6 in;
    memcpy(&in, sa, sizeof in);
    e.address = Address::v6(in.sin6_addr.s6_addr);
    e.port = ntohs(in.sin6_port);
  }
  return e;
}

socklen_t Endpoint::to(sockaddr_storage& out) const {
  if (address.family == 4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    memcpy(&in.sin_addr, address.bytes.data(), 4);
    memcpy(&out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  memcpy(&in.sin6_addr, address.bytes.data(), 16);
  memcpy(&out, &in, sizeof in);
  return sizeof in;
}

uint64_t hash_bytes(const void* data, size_t size, uint64_t seed) {
  const auto* p = static_cast<const uint8_t*>(data);
  uint64_t h = seed ^ 0x9e3779b97f4a7c15ULL;
  for (size_t i = 0; i < size; i += 8) {
    uint64_t word = 0;
    memcpy(&word, p + i, size - i < 8 ? size - i : 8);
    h = (h ^ word) * 0xff51afd7ed558ccdULL;
    h ^= h >> 32;
  }
  return h;
}

}  // namespace vpnd
