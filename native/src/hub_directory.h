// hot: Which hub's client has which address of a device that several hubs share, each with a queue and a thread of its own.
#pragma once
#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "address.h"
#include "hub_inbox.h"

namespace vpnd {

struct AddressHash {
  size_t operator()(const Address& a) const { return hash_bytes(a.bytes.data(), a.bytes.size(), a.family); }
};

// For all threads. Threads that read packets keep each other from nothing; clients come and go seldom.
class HubDirectory {
 public:
  // That of the device with this name, for all hubs of this process.
  static std::shared_ptr<HubDirectory> of(const std::string& device);

  // addresses: prefixes of one address each. False: another client has one of them, of whichever hub.
  bool add(const std::vector<Prefix>& addresses, uint32_t client, HubInbox& inbox);
  // Nobody puts anything into the inbox for these from here on.
  void remove(const std::vector<Prefix>& addresses);

  enum class Outcome : uint8_t {
    handed_over,
    nobody,  // has the address
    full,    // the inbox
  };
  // Into the inbox of the hub whose client has the destination.
  Outcome hand_over(const Address& destination, const VnetHeader& header, View packet);

 private:
  struct Entry {
    uint32_t client;
    HubInbox* inbox;
  };
  std::shared_mutex mutex_;
  std::unordered_map<Address, Entry, AddressHash> entries_;
};

}  // namespace vpnd
