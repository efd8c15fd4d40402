#include "prefix_table.h"

#include <bit>
#include <functional>
#include <map>

namespace vpnd {

namespace {
size_t slot_of(const Address& address, size_t mask) { return hash_bytes(address.bytes.data(), 16, address.family) & mask; }
}  // namespace

PrefixTable::PrefixTable(const std::vector<Entry>& entries) {
  std::map<std::pair<uint8_t, unsigned>, std::vector<Entry>, std::greater<>> groups;
  for (const Entry& e : entries) groups[{e.prefix.address.family, e.prefix.length}].push_back(e);
  for (const auto& [key, group] : groups) {
    Level level{key.second, std::bit_ceil(group.size() * 2) - 1, {}};
    level.slots.resize(level.mask + 1, Entry{{}, nullptr});
    for (const Entry& e : group) {
      size_t i = slot_of(e.prefix.address, level.mask);
      while (level.slots[i].peer && level.slots[i].prefix != e.prefix) i = (i + 1) & level.mask;
      level.slots[i] = e;
    }
    (key.first == 4 ? v4_ : v6_).push_back(std::move(level));
  }
}

Peer* PrefixTable::find_in(const Level& level, const Address& key) {
  for (size_t i = slot_of(key, level.mask); level.slots[i].peer; i = (i + 1) & level.mask) {
    if (level.slots[i].prefix.address == key) return level.slots[i].peer;
  }
  return nullptr;
}

Peer* PrefixTable::find_in(const std::vector<Level>& levels, const Address& address) {
  for (const Level& level : levels) {
    const Address key = level.length == address.bits() ? address : masked(address, level.length);
    if (Peer* peer = find_in(level, key)) return peer;
  }
  return nullptr;
}

Peer* PrefixTable::find(const Address& address) const { return find_in(address.family == 4 ? v4_ : v6_, address); }

Peer* PrefixTable::find_exact(const Prefix& prefix) const {
  for (const Level& level : prefix.address.family == 4 ? v4_ : v6_) {
    if (level.length == prefix.length) return find_in(level, prefix.address);
  }
  return nullptr;
}

}  // namespace vpnd
