// The port hub: many devices for one carrier, each client held to its own addresses.
#include <chrono>
#include <thread>

#include "hub_devices.h"
#include "ip_packet.h"
#include "tcp_udp_packets.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

using Hub = HubDevices;
constexpr size_t kMtu = Hub::kMtu;

PacketSpec udp_from(uint8_t host, size_t payload = 20) {
  PacketSpec spec;
  spec.udp = true;
  spec.host = host;
  spec.payload = random_bytes(payload);
  return spec;
}

}  // namespace

TEST(hub_many, "hub: one thread hands over what many devices have, to each client its own") {
  Hub hub;
  constexpr uint32_t kClients = 100;
  std::map<uint32_t, std::vector<Bytes>> sent;
  for (uint32_t id = 0; id < kClients; id++) {
    hub.add(id);
    hub.hub->set_mode(id, PortHub::Mode::read);
    for (uint8_t i = 0; i < 3; i++) {
      sent[id].push_back(build(udp_from(static_cast<uint8_t>(id), 20 + i)));
      CHECK(hub.send(id, sent[id].back()));
    }
  }
  CHECK(hub.take(kClients * 3) == sent);
  CHECK(hub.hub->info(7)->tx_packets == 3 && !hub.hub->info(kClients));
}

TEST(hub_modes, "hub: nothing comes of a client that is paused, and nothing late of one that was away") {
  Hub hub;
  for (uint32_t id = 1; id <= 2; id++) hub.add(id);
  const Bytes first = build(udp_from(1)), second = build(udp_from(2));
  // Paused from the beginning.
  CHECK(hub.send(1, first));
  hub.hub->set_mode(2, PortHub::Mode::read);
  CHECK(hub.send(2, second));
  auto taken = hub.take(1);
  CHECK(taken.size() == 1 && taken[2] == std::vector<Bytes>{second});
  hub.hub->set_mode(1, PortHub::Mode::read);
  CHECK(hub.take(1)[1] == std::vector<Bytes>{first});
  hub.hub->set_mode(1, PortHub::Mode::discard);
  CHECK(hub.send(1, first));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (hub.dropped(1, PortDrop::no_client) == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  CHECK(hub.dropped(1, PortDrop::no_client) == 1);
  hub.hub->set_mode(1, PortHub::Mode::read);
  CHECK(hub.send(1, second));
  CHECK(hub.take(1)[1] == std::vector<Bytes>{second});
}

TEST(hub_sources, "hub: a client sends as itself, and only where clients may") {
  // The tests' packets go from 10.1.0.HOST to 10.2.0.1 and the like.
  const Bytes own = build(udp_from(1)), foreign = build(udp_from(2));
  IpHeader ip;
  CHECK(parse_ip(own, ip));
  const Prefix source{ip.source, 32}, target{ip.destination, 32};
  Hub open;
  open.add(1, {source});
  open.write(1, own);
  open.write(1, foreign);
  CHECK(open.arrived(1).size() == 1 && open.dropped(1, PortDrop::foreign_source) == 1);
  Hub closed(Destinations({target}, {}));
  closed.add(1, {source});
  closed.write(1, own);
  CHECK(closed.arrived(1).size() == 0 && closed.dropped(1, PortDrop::forbidden_destination) == 1);
  Hub excepted(Destinations({target}, {target}));
  excepted.add(1, {source});
  excepted.write(1, own);
  excepted.write(2, own);
  CHECK(excepted.arrived(1).size() == 1);
}

TEST(hub_backpressure, "hub: while the carrier holds all batches nothing is read, and nothing is lost of what was") {
  Hub hub;
  constexpr uint32_t kClients = 40;
  for (uint32_t id = 0; id < kClients; id++) {
    hub.add(id);
    hub.hub->set_mode(id, PortHub::Mode::read);
    CHECK(hub.send(id, build(udp_from(1))));
  }
  std::vector<unsigned> held;
  while (held.size() < kHubBatches) {
    if (const auto filled = hub.hub->take()) held.push_back(filled->batch.index);
  }
  CHECK(!hub.hub->take());
  for (const unsigned index : held) hub.hub->give_back(index);
  CHECK(hub.take(kClients - kHubBatches).size() == kClients - kHubBatches);
}

TEST(hub_removed, "hub: a client's device goes with it, or is kept for the next") {
  Hub hub;
  hub.add(1);
  hub.add(2);
  CHECK(hub.hub->remove(1, false) == -1 && !hub.hub->info(1));
  CHECK(!hub.send(1, build(udp_from(1))));
  const int fd = hub.hub->remove(2, true);
  std::string error;
  CHECK(fd >= 0 && hub.hub->add(3, {fd, kMtu, PortItems::packets, {}}, error));
  hub.hub->set_mode(3, PortHub::Mode::read);
  CHECK(hub.send(2, build(udp_from(2))));
  CHECK(hub.take(1).contains(3));
  CHECK(!hub.hub->add(3, {0, kMtu, PortItems::packets, {}}, error) && hub.hub->remove(9, true) == -1);
}

TEST(hub_stop, "hub: it stops while all batches are held, and clients that come later are refused") {
  Hub hub;
  for (uint32_t id = 0; id < 2 * kHubBatches; id++) {
    hub.add(id);
    hub.hub->set_mode(id, PortHub::Mode::read);
    CHECK(hub.send(id, build(udp_from(1))));
  }
  for (unsigned taken = 0; taken < kHubBatches;) {
    if (hub.hub->take()) taken++;
  }
  CHECK(hub.hub->responds());
  hub.hub->stop();
  std::string error;
  CHECK(!hub.hub->add(99, {0, kMtu, PortItems::packets, {}}, error) && !hub.hub->take() && hub.hub->responds());
}

TEST(hub_limit, "hub: what a client may move is counted both ways; then nothing passes, until there is more") {
  Hub hub;
  const Bytes packet = build(udp_from(1, 100));
  const size_t size = packet.size();
  hub.add(1, {*Prefix::parse("0.0.0.0/0")}, false, 3 * size + 5);
  hub.add(2);
  hub.hub->set_mode(1, PortHub::Mode::read);
  hub.write(1, packet);
  CHECK(hub.send(1, packet));
  CHECK(hub.take(1)[1].size() == 1);
  hub.write(1, packet);
  CHECK(hub.hub->info(1)->passed == 3 * size && hub.arrived(1).size() == 2);
  // There is less left than a packet, and no smaller one passes either.
  hub.write(1, packet);
  hub.write(1, build(udp_from(1, 0)));
  CHECK(hub.arrived(1).empty() && hub.dropped(1, PortDrop::quota) == 2 && hub.hub->info(1)->passed == 3 * size + 5);
  CHECK(hub.send(1, packet));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (hub.dropped(1, PortDrop::quota) < 3 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  CHECK(hub.dropped(1, PortDrop::quota) == 3);
  hub.hub->set_limit(1, 1);
  CHECK(hub.hub->info(1)->passed == 3 * size + 5);
  hub.hub->set_limit(1, 4 * size + 5);
  CHECK(hub.send(1, packet));
  CHECK(hub.take(1)[1].size() == 1);
  // Who has no limit gets none.
  hub.hub->set_limit(2, 0);
  hub.write(2, packet);
  CHECK(hub.arrived(2).size() == 1 && hub.hub->info(2)->passed == 0);
}

TEST(hub_learned, "hub: what a client sends as is told") {
  Hub hub;
  hub.add(1, {*Prefix::parse("10.91.0.2/32"), *Prefix::parse("fd00::2/128")}, true);
  CHECK(hub.hub->info(1)->learned.empty());
  const Bytes packet = build(udp_from(1));
  hub.write(1, packet);
  const auto learned = hub.hub->info(1)->learned;
  IpHeader ip;
  CHECK(parse_ip(packet, ip) && learned.size() == 1 && learned[0] == ip.source);
}
