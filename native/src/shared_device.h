// hot: One device for all clients of a port hub: what comes out of it goes to whoever has the destination.
#pragma once
#include <functional>
#include <unordered_map>

#include "hub_client.h"

namespace vpnd {

// Batches are filled for several clients at a time, so that packets that come by turns do not make a batch each.
class SharedDevice {
 public:
  // mutex: the hub's, which protects its clients.
  SharedDevice(int fd, HubBatches& batches, HubMemory& memory, std::mutex& mutex, const std::function<void()>& on_ready);

  const Tun& tun() const { return tun_; }

  // For the carrier's thread, which holds the mutex.

  // False: somebody has one of its addresses, or it has more than addresses.
  bool add(uint32_t id, HubClient& client);
  void remove(HubClient& client);
  // The client takes packets again. True: some wait, and the thread has to call flush().
  bool resume(HubClient& client);

  // For the hub's thread, which does not hold the mutex.

  // Hands over what the device has, up to a limit. False: the device is gone.
  bool serve() noexcept;
  // Hands over what waited.
  void flush() noexcept;
  // Packets for nobody.
  uint64_t strays() const { return strays_.get(); }

 private:
  struct Member {
    uint32_t id = 0;
    HubClient* client = nullptr;
  };
  struct AddressHash {
    size_t operator()(const Address& a) const { return hash_bytes(a.bytes.data(), a.bytes.size(), a.family); }
  };

  bool deliver(const VnetHeader& header, View packet) noexcept;
  bool put(const Member& member, const VnetHeader& header, View packet) noexcept;
  bool has_resumed() const noexcept;
  bool find_spare() noexcept;
  void publish() noexcept;

  const Tun tun_;
  HubBatches& batches_;
  HubMemory& memory_;
  std::mutex& mutex_;
  const std::function<void()>& on_ready_;
  std::unordered_map<Address, Member, AddressHash> members_;
  std::vector<Member> filling_;  // who has an open batch
  std::vector<HubClient*> resumed_;
  Counter strays_;
  // The thread's.
  int spare_ = -1;  // a batch for whoever needs one; -1: none
  bool ready_ = false;  // a batch was put
  std::unique_ptr<uint8_t[]> buffer_;
};

}  // namespace vpnd
