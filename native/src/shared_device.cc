#include "shared_device.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vpnd {

namespace {

constexpr size_t kMaxItem = 65536;
constexpr int kMaxInARow = 512;  // packets, before anybody else has a turn

}  // namespace

SharedDevice::SharedDevice(int fd, HubBatches& batches, HubMemory& memory, std::mutex& mutex, const std::function<void()>& on_ready)
    : tun_(fd), batches_(batches), memory_(memory), mutex_(mutex), on_ready_(on_ready), buffer_(std::make_unique_for_overwrite<uint8_t[]>(kMaxItem)) {}

bool SharedDevice::add(uint32_t id, HubClient& client) {
  for (const Prefix& one : client.sources) {
    if (one.length != one.address.bits() || members_.contains(one.address)) return false;
  }
  for (const Prefix& one : client.sources) members_[one.address] = {id, &client};
  return true;
}

void SharedDevice::remove(HubClient& client) {
  for (const Prefix& one : client.sources) members_.erase(one.address);
  std::erase_if(filling_, [&](const Member& member) { return member.client == &client; });
  std::erase(resumed_, &client);
  if (client.open) batches_.discard(client.open->index);
  client.open.reset();
}

bool SharedDevice::resume(HubClient& client) {
  if (client.backlog.empty()) return false;
  if (std::ranges::find(resumed_, &client) == resumed_.end()) resumed_.push_back(&client);
  return true;
}

bool SharedDevice::serve() noexcept {
  bool alive = true;
  for (int i = 0; i < kMaxInARow; i++) {
    VnetHeader header;
    const iovec parts[] = {{&header, sizeof header}, {buffer_.get(), kMaxItem}};
    const bool vnet = tun_.offloads().vnet;
    const ssize_t got = vnet ? readv(tun_.fd(), parts, 2) : readv(tun_.fd(), parts + 1, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      alive = got < 0 && errno == EAGAIN;
      break;
    }
    const size_t skip = vnet ? sizeof header : 0;
    if (static_cast<size_t>(got) > skip && !deliver(header, {buffer_.get(), static_cast<size_t>(got) - skip})) break;
  }
  publish();
  return alive;
}

void SharedDevice::flush() noexcept {
  while (has_resumed() && find_spare()) {
    const std::lock_guard lock(mutex_);
    // The last one may have gone meanwhile.
    if (resumed_.empty()) break;
    HubClient& client = *resumed_.back();
    const auto member = members_.find(client.sources.front().address);
    while (client.mode == PortHub::Mode::read && !client.backlog.empty()) {
      const Backlog::Waiting& oldest = client.backlog.oldest();
      if (!put(member->second, oldest.header, oldest.packet)) break;
      client.backlog.remove_oldest();
    }
    if (client.mode != PortHub::Mode::read || client.backlog.empty()) resumed_.pop_back();
  }
  publish();
}

bool SharedDevice::has_resumed() const noexcept {
  const std::lock_guard lock(mutex_);
  return !resumed_.empty();
}

// One packet. False: the hub is ending.
bool SharedDevice::deliver(const VnetHeader& header, View packet) noexcept {
  IpHeader ip;
  if (!parse_ip(packet, ip)) {
    strays_.add();
    return true;
  }
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = members_.find(ip.destination);
      if (found == members_.end()) {
        strays_.add();
        return true;
      }
      HubClient& client = *found->second.client;
      if (client.mode == PortHub::Mode::discard) {
        client.counters.drop(PortDrop::no_client);
        return true;
      }
      // Behind what waits already, for the order's sake.
      if (client.mode == PortHub::Mode::pause || !client.backlog.empty()) {
        if (!client.backlog.add(header, packet)) client.counters.drop(PortDrop::queue_full);
        return true;
      }
      if (put(found->second, header, packet)) return true;
    }
    if (!find_spare()) return false;
  }
}

// Into the client's batch, or a new one. False: it needs one, and there is no spare. The mutex is held.
bool SharedDevice::put(const Member& member, const VnetHeader& header, View packet) noexcept {
  HubClient& client = *member.client;
  if (client.open) {
    if (client.reader.put(*client.open, memory_.all[client.open->index], header, packet)) return true;
    if (spare_ < 0) return false;
    batches_.put({member.id, *client.open});
    ready_ = true;
  } else {
    if (spare_ < 0) return false;
    filling_.push_back(member);
  }
  client.open = Batch{static_cast<unsigned>(std::exchange(spare_, -1)), 0, 0, PortItems::packets};
  return client.reader.put(*client.open, memory_.all[client.open->index], header, packet);
}

// Whoever waits for a batch must not keep others from the carrier. False: the hub is ending.
bool SharedDevice::find_spare() noexcept {
  if (spare_ < 0) spare_ = batches_.take_free();
  if (spare_ >= 0) return true;
  publish();
  spare_ = batches_.wait_free();
  return spare_ >= 0;
}

void SharedDevice::publish() noexcept {
  {
    const std::lock_guard lock(mutex_);
    for (const Member& member : filling_) {
      const Batch batch = *member.client->open;
      member.client->open.reset();
      // Empty: what was for it had to be dropped.
      if (batch.items == 0) batches_.discard(batch.index);
      else batches_.put({member.id, batch}), ready_ = true;
    }
    filling_.clear();
  }
  if (spare_ >= 0) batches_.discard(static_cast<unsigned>(std::exchange(spare_, -1)));
  if (std::exchange(ready_, false)) on_ready_();
}

}  // namespace vpnd
