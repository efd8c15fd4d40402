#include "destinations.h"

#include <algorithm>

namespace vpnd {

bool contains(const Prefix& prefix, const Address& address) noexcept {
  return prefix.address.family == address.family && masked(address, prefix.length) == prefix.address;
}

bool any_contains(const std::vector<Prefix>& prefixes, const Address& address) noexcept {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& prefix) { return contains(prefix, address); });
}

Destinations::Destinations(const std::vector<Prefix>& closed, const std::vector<Prefix>& open) {
  for (const Prefix& prefix : closed) (prefix.address.family == 4 ? v4_ : v6_).closed.push_back(prefix);
  for (const Prefix& prefix : open) (prefix.address.family == 4 ? v4_ : v6_).open.push_back(prefix);
}

bool Destinations::permits(const Address& address) const noexcept {
  const Family& family = of(address);
  return !any_contains(family.closed, address) || any_contains(family.open, address);
}

}  // namespace vpnd
