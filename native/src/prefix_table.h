// Longest-prefix match from addresses to peers. A table is immutable once published; changes build a new one.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "address.h"

namespace vpnd {

struct Peer;

class PrefixTable {
 public:
  struct Entry {
    Prefix prefix;
    Peer* peer;
  };

  // A later entry for an equal prefix replaces an earlier one.
  explicit PrefixTable(const std::vector<Entry>& entries);
  // Null: nobody has the address. Cost: one probe for each prefix length in use.
  Peer* find(const Address& address) const;
  // Who has exactly this prefix; null: nobody, though somebody may have one that it is part of.
  Peer* find_exact(const Prefix& prefix) const;

 private:
  // All prefixes of one family and length, open addressing, at most half full.
  struct Level {
    unsigned length;
    size_t mask;
    std::vector<Entry> slots;
  };
  static Peer* find_in(const Level& level, const Address& key);
  static Peer* find_in(const std::vector<Level>& levels, const Address& address);
  std::vector<Level> v4_;  // longest first
  std::vector<Level> v6_;
};

}  // namespace vpnd
