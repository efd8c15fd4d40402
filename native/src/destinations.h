// Where packets of a gateway's clients may go. Immutable, so that all clients can share one.
#pragma once
#include <vector>

#include "address.h"

namespace vpnd {

class Destinations {
 public:
  // What lies in none of both is open; what lies in both is open too.
  Destinations(const std::vector<Prefix>& closed, const std::vector<Prefix>& open);
  bool permits(const Address& address) const noexcept;

 private:
  // Of one family.
  struct Family {
    std::vector<Prefix> closed, open;
  };
  const Family& of(const Address& address) const noexcept { return address.family == 4 ? v4_ : v6_; }
  Family v4_, v6_;
};

// Whether the address lies in the prefix, which has its host bits cleared.
bool contains(const Prefix& prefix, const Address& address) noexcept;
bool any_contains(const std::vector<Prefix>& prefixes, const Address& address) noexcept;

}  // namespace vpnd
