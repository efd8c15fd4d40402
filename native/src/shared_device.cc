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

SharedDevice::SharedDevice(int fd, std::shared_ptr<HubDirectory> directory, Parts parts)
    : tun_(fd),
      directory_(std::move(directory)),
      batches_(parts.batches),
      memory_(parts.memory),
      mutex_(parts.mutex),
      on_ready_(parts.on_ready),
      inbox_(std::move(parts.wake)),
      buffer_(std::make_unique_for_overwrite<uint8_t[]>(kMaxItem)) {}

bool SharedDevice::add(uint32_t id, HubClient& client) {
  for (const Prefix& one : client.sources) {
    if (one.length != one.address.bits()) return false;
  }
  if (!directory_->add(client.sources, id, inbox_)) return false;
  for (const Prefix& one : client.sources) members_[one.address] = {id, &client};
  return true;
}

void SharedDevice::remove(HubClient& client) {
  directory_->remove(client.sources);
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
  // The device's next packets may be of the same flows.
  if (!take_in()) return true;
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
  if (!take_in()) return;
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

// One packet of the device. False: the hub is ending.
bool SharedDevice::deliver(const VnetHeader& header, View packet) noexcept {
  IpHeader ip;
  if (!parse_ip(packet, ip)) {
    counters_.drop(PortDrop::malformed_packet);
    return true;
  }
  const Given given = give(ip.destination, std::nullopt, header, packet);
  if (given != Given::nobody) return given == Given::taken;
  switch (directory_->hand_over(ip.destination, header, packet)) {
    case HubDirectory::Outcome::handed_over: break;
    case HubDirectory::Outcome::nobody: counters_.drop(PortDrop::no_client); break;
    case HubDirectory::Outcome::full: counters_.drop(PortDrop::queue_full); break;
  }
  return true;
}

// What other hubs read for clients of this one. False: the hub is ending.
bool SharedDevice::take_in() noexcept {
  const HubInbox::Packets& packets = inbox_.take_all();
  for (const HubInbox::Packet& one : packets.all) {
    const View packet = packets.of(one);
    IpHeader ip;
    // Meanwhile the address may be somebody else's.
    const Given given = parse_ip(packet, ip) ? give(ip.destination, one.client, one.header, packet) : Given::nobody;
    if (given == Given::ending) return false;
    if (given == Given::nobody) counters_.drop(PortDrop::no_client);
  }
  return true;
}

// To whoever has the address, or to this one only.
SharedDevice::Given SharedDevice::give(const Address& destination, std::optional<uint32_t> id, const VnetHeader& header, View packet) noexcept {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = members_.find(destination);
      if (found == members_.end() || (id && *id != found->second.id)) return Given::nobody;
      HubClient& client = *found->second.client;
      if (client.mode == PortHub::Mode::discard) {
        client.counters.drop(PortDrop::no_client);
        return Given::taken;
      }
      // Behind what waits already, for the order's sake.
      if (client.mode == PortHub::Mode::pause || !client.backlog.empty()) {
        if (!client.backlog.add(header, packet)) client.counters.drop(PortDrop::queue_full);
        return Given::taken;
      }
      if (put(found->second, header, packet)) return Given::taken;
    }
    if (!find_spare()) return Given::ending;
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
