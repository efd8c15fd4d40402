// Addresses, prefixes and endpoints as text, and the table of prefixes against a plain search.
#include <algorithm>
#include <string>
#include <vector>

#include "input.h"
#include "peer.h"
#include "prefix_table.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

bool contains(const Prefix& prefix, const Address& address) {
  return prefix.address.family == address.family && masked(address, prefix.length) == prefix.address;
}

const PrefixTable::Entry* search(const std::vector<PrefixTable::Entry>& entries, const Address& address) {
  const PrefixTable::Entry* best = nullptr;
  for (const auto& entry : entries) {
    if (contains(entry.prefix, address) && (!best || entry.prefix.length >= best->prefix.length)) best = &entry;
  }
  return best;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Peer peers[] = {Peer(0), Peer(1), Peer(2), Peer(3)};
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<PrefixTable::Entry> entries;
  std::vector<Address> addresses;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (const auto address = Address::parse(line)) {
      EXPECT(Address::parse(address->text()) == address);
      addresses.push_back(*address);
    }
    if (const auto prefix = Prefix::parse(line)) {
      EXPECT(prefix->length <= prefix->address.bits() && masked(prefix->address, prefix->length) == prefix->address);
      EXPECT(Prefix::parse(prefix->address.text() + "/" + std::to_string(prefix->length)) == prefix);
      addresses.push_back(prefix->address);
      entries.push_back({*prefix, &peers[entries.size() % std::size(peers)]});
    }
    if (const auto endpoint = Endpoint::parse(line)) {
      EXPECT(Endpoint::parse(endpoint->text()) == endpoint);
      sockaddr_storage storage{};
      endpoint->to(storage);
      EXPECT(Endpoint::from(reinterpret_cast<const sockaddr*>(&storage)) == *endpoint);
      addresses.push_back(endpoint->address);
    }
    if (entries.size() > 64) break;
  }
  const PrefixTable table(entries);
  for (const Address& address : addresses) {
    const PrefixTable::Entry* best = search(entries, address);
    EXPECT(table.find(address) == (best ? best->peer : nullptr));
  }
  return 0;
}
