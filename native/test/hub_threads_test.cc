// The port hub under two threads, for ThreadSanitizer as much as for itself: the carrier's does everything it may while the hub's reads.
#include <algorithm>
#include <atomic>
#include <thread>

#include "hub_devices.h"
#include "ip_packet.h"
#include "tcp_udp_packets.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

constexpr uint32_t kClients = 6;
constexpr size_t kRounds = 400;

// 10.9.0.HOST and the like, as the tests' packets have it.
Bytes packet_of(uint32_t host, bool six) {
  PacketSpec spec;
  spec.udp = true;
  spec.six = six;
  spec.host = static_cast<uint8_t>(host);
  spec.payload.resize(50, static_cast<uint8_t>(host));
  return build(spec);
}

// The same for who is there. The hub does not look at checksums.
Bytes packet_for(uint32_t host, bool six) {
  Bytes packet = packet_of(host, six);
  packet[six ? 39 : 19] = static_cast<uint8_t>(host);
  return packet;
}

std::vector<Prefix> own_sources(uint32_t id) {
  std::vector<Prefix> out;
  for (const bool six : {false, true}) {
    IpHeader ip;
    CHECK(parse_ip(packet_of(id, six), ip));
    out.push_back({ip.source, static_cast<uint8_t>(ip.source.bits())});
  }
  return out;
}

// Clients come, go, pause and write while the hub's thread reads; each gets and sends its own only.
void bustle(bool shared) {
  HubDevices hub({{}, {}}, shared);
  std::array<std::atomic<int>, kClients> far{};
  for (uint32_t id = 0; id < kClients; id++) {
    hub.add(id, own_sources(id));
    far[id] = hub.far[shared ? HubDevices::kShared : id];
  }
  // The kernel: packets for all, each with its client's number.
  std::atomic<bool> over{false};
  std::thread kernel([&] {
    for (uint32_t i = 0; !over; i++) {
      const Bytes packet = packet_for(i % kClients, i & 8);
      ::send(far[i % kClients], packet.data(), packet.size(), MSG_NOSIGNAL);
      if (i % 64 == 0) std::this_thread::yield();
    }
  });
  constexpr PortHub::Mode modes[] = {PortHub::Mode::read, PortHub::Mode::pause, PortHub::Mode::read, PortHub::Mode::discard};
  std::array<size_t, kClients> seen{};
  const auto check = [&](const std::map<uint32_t, std::vector<Bytes>>& taken) {
    for (const auto& [id, packets] : taken) {
      for (const Bytes& item : packets) {
        // A vnet header of one packet begins with zero.
        const View packet = item[0] == 0 ? View(item).subspan(sizeof(VnetHeader)) : View(item);
        CHECK(std::ranges::equal(packet, packet_for(id, packet[0] >> 4 == 6)));
        seen[id]++;
      }
    }
  };
  size_t reached = 0;
  for (size_t round = 0; round < kRounds; round++) {
    const auto id = static_cast<uint32_t>(pick(0, kClients - 1));
    hub.hub->set_mode(id, modes[pick(0, 3)]);
    hub.hub->choose(id, pick(0, 1) ? PortItems::supers : PortItems::packets);
    hub.write(id, packet_of(id, round & 1));
    hub.write(id, packet_of((id + 1) % kClients, round & 1));  // as somebody else
    for (const Bytes& packet : hub.arrived(shared ? HubDevices::kShared : id)) {
      CHECK(packet == packet_of(id, packet[0] >> 4 == 6));
      reached++;
    }
    CHECK(hub.hub->info(id).has_value());
    hub.hub->responds();
    std::map<uint32_t, std::vector<Bytes>> taken;
    hub.take_ready(taken);
    check(taken);
    if (round % 20 != 0) continue;
    // Away, and another in its place with the same device.
    const int fd = hub.hub->remove(id, true);
    std::string error;
    CHECK(shared ? fd < 0 : fd >= 0);
    CHECK(hub.hub->add(id, {fd, HubDevices::kMtu, PortItems::packets, own_sources(id)}, error));
  }
  CHECK(reached == kRounds);
  for (uint32_t id = 0; id < kClients; id++) hub.hub->set_mode(id, PortHub::Mode::read);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::ranges::count(seen, 0u) > 0 && std::chrono::steady_clock::now() < end) check(hub.take(1));
  CHECK(std::ranges::count(seen, 0u) == 0);
  over = true;
  kernel.join();
}

// Clients move between hubs, whose queues have packets for all of them; nobody gets another's, and who is there gets some.
void move_about() {
  const auto directory = std::make_shared<HubDirectory>();
  HubDevices first({{}, {}}, true, directory), second({{}, {}}, true, directory);
  const std::array<HubDevices*, 2> hubs{&first, &second};
  std::array<uint32_t, kClients> at{};
  const auto come = [&](uint32_t host, uint32_t where, uint32_t id) {
    hubs[where]->add(id, own_sources(host));
    hubs[where]->hub->set_mode(id, PortHub::Mode::read);
    at[host] = where;
  };
  // A client's id is its host's number and, above, how often it moved.
  std::array<uint32_t, kClients> ids{};
  for (uint32_t host = 0; host < kClients; host++) come(host, host & 1, ids[host] = host);
  std::atomic<bool> over{false};
  std::vector<std::thread> kernels;
  for (const HubDevices* hub : hubs) {
    kernels.emplace_back([&over, fd = hub->far.at(HubDevices::kShared)] {
      for (uint32_t i = 0; !over; i++) {
        const Bytes packet = packet_for(i % kClients, i & 8);
        ::send(fd, packet.data(), packet.size(), MSG_NOSIGNAL);
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }
  std::array<size_t, kClients> seen{};
  const auto look = [&] {
    std::map<uint32_t, std::vector<Bytes>> taken;
    for (HubDevices* hub : hubs) hub->take_ready(taken);
    for (const auto& [id, packets] : taken) {
      const uint32_t host = id % 256;
      for (const Bytes& packet : packets) CHECK(packet == packet_for(host, packet[0] >> 4 == 6));
      if (id == ids[host]) seen[host] += packets.size();
    }
  };
  for (size_t round = 0; round < kRounds; round++) {
    const auto host = static_cast<uint32_t>(pick(0, kClients - 1));
    HubDevices& hub = *hubs[at[host]];
    hub.hub->set_mode(ids[host], round & 2 ? PortHub::Mode::pause : PortHub::Mode::read);
    hub.write(ids[host], packet_of(host, round & 1));
    CHECK(hub.arrived(HubDevices::kShared) == std::vector<Bytes>{packet_of(host, round & 1)});
    CHECK(hub.hub->shared_info().has_value());
    look();
    if (round % 5 != 0) continue;
    hub.hub->remove(ids[host], true);
    seen[host] = 0;
    come(host, 1 - at[host], ids[host] += 256);
  }
  for (uint32_t host = 0; host < kClients; host++) hubs[at[host]]->hub->set_mode(ids[host], PortHub::Mode::read);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::ranges::count(seen, 0u) > 0 && std::chrono::steady_clock::now() < end) look();
  CHECK(std::ranges::count(seen, 0u) == 0);
  // One ends while the other hands over to it.
  second.hub->stop();
  over = true;
  for (std::thread& kernel : kernels) kernel.join();
}

}  // namespace

TEST(hub_threads, "hub: while its thread reads, clients do all they may, each with a device") { bustle(false); }
TEST(hub_threads_shared, "hub: while its thread reads, clients do all they may, with one device for all") { bustle(true); }
TEST(hub_threads_queues, "hub: several with a queue of one device each, while clients move between them") { move_about(); }
