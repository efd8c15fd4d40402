#include "prefix_table.h"

#include <memory>

#include "check.h"
#include "peer.h"

using namespace vpnd;

namespace {

// Few bits vary, so that prefixes nest and collide.
Address some_address() {
  uint8_t raw[16] = {10, 0, 0, 0};
  const bool six = test::random()() % 2;
  for (size_t i : six ? std::vector<size_t>{0, 7, 8, 15} : std::vector<size_t>{1, 2, 3}) {
    raw[i] = static_cast<uint8_t>(test::random()() % 4 * 64 + test::random()() % 3);
  }
  return six ? Address::v6(raw) : Address::v4(raw);
}

Peer* linear(const std::vector<PrefixTable::Entry>& entries, const Address& address) {
  Peer* best = nullptr;
  int length = -1;
  for (const auto& e : entries) {
    if (e.prefix.address.family != address.family || masked(address, e.prefix.length) != e.prefix.address) continue;
    if (e.prefix.length < length) continue;
    best = e.peer;
    length = e.prefix.length;
  }
  return best;
}

Peer* exact(const std::vector<PrefixTable::Entry>& entries, const Prefix& prefix) {
  Peer* found = nullptr;
  for (const auto& e : entries) {
    if (e.prefix == prefix) found = e.peer;
  }
  return found;
}

}  // namespace

TEST(prefix_table, "prefix table: as a linear search") {
  std::vector<std::unique_ptr<Peer>> peers;
  for (uint32_t i = 1; i <= 20; i++) peers.push_back(std::make_unique<Peer>(i));
  for (int round = 0; round < 200; round++) {
    std::vector<PrefixTable::Entry> entries;
    for (size_t i = 0; i < test::random()() % 60; i++) {
      const Address a = some_address();
      const auto length = static_cast<uint8_t>(test::random()() % (a.bits() + 1));
      entries.push_back({{masked(a, length), length}, peers[test::random()() % peers.size()].get()});
    }
    const PrefixTable table(entries);
    for (int i = 0; i < 100; i++) {
      const Address a = some_address();
      CHECK(table.find(a) == linear(entries, a));
      const auto length = static_cast<uint8_t>(test::random()() % (a.bits() + 1));
      CHECK(table.find_exact({masked(a, length), length}) == exact(entries, {masked(a, length), length}));
    }
  }
}

TEST(prefix_table_empty, "prefix table: an empty one finds nobody") {
  const PrefixTable table({});
  CHECK(!table.find(*Address::parse("10.0.0.1")));
  CHECK(!table.find(*Address::parse("::")));
}
