// A port hub in tests: its devices are datagram socket pairs, and `far` is the kernel's end of one. If all clients share one, that
// is kShared's.
#pragma once
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <map>

#include "check.h"
#include "port_hub.h"

namespace vpnd::test {

struct HubDevices {
  static constexpr size_t kMtu = 1400;

  static constexpr uint32_t kShared = 1000;

  // directory: of several hubs with queues of the same shared device.
  explicit HubDevices(Destinations where = {{}, {}}, bool shared_ = false, std::shared_ptr<HubDirectory> directory = nullptr) : shared(shared_) {
    std::string error;
    hub = PortHub::make(std::move(where),
                        [this] {
                          const std::lock_guard lock(mutex);
                          ready = true;
                          changed.notify_all();
                        },
                        error);
    CHECK(hub != nullptr);
    if (shared) CHECK(hub->share(make_device(kShared), error, std::move(directory)));
    hub->start();
  }
  ~HubDevices() {
    hub->stop();
    for (const auto& [id, fd] : far) close(fd);
  }
  HubDevices(const HubDevices&) = delete;
  HubDevices& operator=(const HubDevices&) = delete;

  void add(uint32_t id, std::vector<Prefix> sources = {*Prefix::parse("0.0.0.0/0"), *Prefix::parse("::/0")}, bool any_source = false,
           std::optional<uint64_t> limit = std::nullopt) {
    std::string error;
    CHECK(hub->add(id, {shared ? -1 : make_device(id), kMtu, PortItems::packets, std::move(sources), any_source, limit}, error));
  }
  // Returns the hub's end.
  int make_device(uint32_t id) {
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    far[id] = fds[1];
    return fds[0];
  }
  // A socket pair may have room for ten datagrams only: a device that is read empties soon.
  bool send(uint32_t id, View packet) {
    pollfd room{far[id], POLLOUT, 0};
    return poll(&room, 1, 10'000) == 1 && ::send(far[id], packet.data(), packet.size(), MSG_NOSIGNAL) > 0;
  }

  // What comes for clients until so many packets did, or nothing did for ten seconds.
  std::map<uint32_t, std::vector<Bytes>> take(size_t count) {
    std::map<uint32_t, std::vector<Bytes>> out;
    for (size_t seen = 0; seen < count;) {
      std::unique_lock lock(mutex);
      if (!changed.wait_for(lock, std::chrono::seconds(10), [&] { return ready; })) return out;
      ready = false;
      lock.unlock();
      seen += take_ready(out);
    }
    return out;
  }
  // What is there now. Returns how many packets.
  size_t take_ready(std::map<uint32_t, std::vector<Bytes>>& out) {
    size_t seen = 0;
    while (const auto filled = hub->take()) {
      const BatchMemory::One& memory = hub->memory()->all[filled->batch.index];
      uint32_t from = 0;
      for (size_t i = 0; i < filled->batch.items; i++, seen++) {
        out[filled->client].emplace_back(memory.data.data() + from, memory.data.data() + memory.ends[i]);
        from = memory.ends[i];
      }
      hub->give_back(filled->batch.index);
    }
    return seen;
  }
  void write(uint32_t id, Bytes packet) {
    const uint32_t end = static_cast<uint32_t>(packet.size());
    hub->write(id, packet, {&end, 1}, PortItems::packets);
  }
  // The packets that lie at the kernel's end.
  std::vector<Bytes> arrived(uint32_t id) {
    std::vector<Bytes> out;
    Bytes buffer(66000);
    for (ssize_t got; (got = recv(far[id], buffer.data(), buffer.size(), 0)) > 0;) out.emplace_back(buffer.begin(), buffer.begin() + got);
    return out;
  }
  uint64_t dropped(uint32_t id, PortDrop reason) const { return hub->info(id)->drops[static_cast<size_t>(reason)]; }

  uint64_t strays(PortDrop reason) const { return hub->shared_info()->drops[static_cast<size_t>(reason)]; }

  const bool shared;
  std::unique_ptr<PortHub> hub;
  std::map<uint32_t, int> far;
  std::mutex mutex;
  std::condition_variable changed;
  bool ready = false;
};

}  // namespace vpnd::test
