// hot: One device for all clients of a port hub: what comes out of it goes to whoever has the destination. Other hubs may have other
// queues of the same device; then each may read what is for clients of another.
#pragma once
#include <functional>
#include <unordered_map>

#include "hub_client.h"
#include "hub_directory.h"

namespace vpnd {

// Batches are filled for several clients at a time, so that packets that come by turns do not make a batch each.
class SharedDevice {
 public:
  // What the hub lends.
  struct Parts {
    HubBatches& batches;
    HubMemory& memory;
    std::mutex& mutex;  // protects its clients
    const std::function<void()>& on_ready;
    std::function<void()> wake;  // has the thread call flush() soon
  };
  // directory: of all hubs that share the device.
  SharedDevice(int fd, std::shared_ptr<HubDirectory> directory, Parts parts);

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
  // Hands over what waited, and what other hubs read.
  void flush() noexcept;

  // For any thread: packets that were for no client, or did not get to the hub of theirs.
  PortInfo info() const { return port_info(counters_); }

 private:
  struct Member {
    uint32_t id = 0;
    HubClient* client = nullptr;
  };
  enum class Given : uint8_t {
    taken,   // or dropped, and counted
    nobody,  // of this hub has the address
    ending,  // the hub
  };

  bool deliver(const VnetHeader& header, View packet) noexcept;
  bool take_in() noexcept;
  Given give(const Address& destination, std::optional<uint32_t> client, const VnetHeader& header, View packet) noexcept;
  bool put(const Member& member, const VnetHeader& header, View packet) noexcept;
  bool has_resumed() const noexcept;
  bool find_spare() noexcept;
  void publish() noexcept;

  const Tun tun_;
  const std::shared_ptr<HubDirectory> directory_;
  HubBatches& batches_;
  HubMemory& memory_;
  std::mutex& mutex_;
  const std::function<void()>& on_ready_;
  HubInbox inbox_;
  std::unordered_map<Address, Member, AddressHash> members_;
  std::vector<Member> filling_;  // who has an open batch
  std::vector<HubClient*> resumed_;
  PortCounters counters_;
  // The thread's.
  int spare_ = -1;  // a batch for whoever needs one; -1: none
  bool ready_ = false;  // a batch was put
  std::unique_ptr<uint8_t[]> buffer_;
};

}  // namespace vpnd
