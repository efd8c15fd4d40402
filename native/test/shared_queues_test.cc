// One device with a queue for each of several hubs: the kernel puts a packet into any, whoever's client it is for.
#include <functional>
#include <thread>

#include "hub_devices.h"
#include "hub_packets.h"
#include "ip_packet.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

constexpr uint32_t kShared = HubDevices::kShared;

struct Queues {
  std::shared_ptr<HubDirectory> directory = std::make_shared<HubDirectory>();
  HubDevices one{{{}, {}}, true, directory};
  HubDevices two{{{}, {}}, true, directory};
};

void come(HubDevices& hub, uint32_t id) {
  hub.add(id, addresses_of(id));
  hub.hub->set_mode(id, PortHub::Mode::read);
}

bool soon(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return holds();
}

}  // namespace

TEST(queues_dispatch, "shared device: whichever queue has the packet, the hub of its client gets it, in order") {
  Queues all;
  come(all.one, 1);
  come(all.two, 2);
  std::map<uint32_t, std::vector<Bytes>> sent;
  for (uint8_t i = 0; i < 60; i++) {
    const uint32_t to = i % 2 + 1;
    // Each client's packets come by the other's queue first, then by its own.
    HubDevices& queue = (to == 1) == (i < 30) ? all.two : all.one;
    sent[to].push_back(between(9, to, i % 3 == 0, i));
    CHECK(queue.send(kShared, sent[to].back()));
    CHECK((to == 1 ? all.one : all.two).take(1)[to] == std::vector<Bytes>{sent[to].back()});
  }
  for (uint8_t i = 0; i < 50; i++) CHECK(all.two.send(kShared, between(9, 1, false, i)));
  const std::vector<Bytes> taken = all.one.take(50)[1];
  CHECK(taken.size() == 50);
  for (uint8_t i = 0; i < 50; i++) CHECK(taken[i] == between(9, 1, false, i));
  CHECK(all.one.hub->info(1)->tx_packets == 80 && all.two.hub->info(2)->tx_packets == 30);
  CHECK(all.two.send(kShared, between(9, 77, false)));
  CHECK(soon([&] { return all.two.strays(PortDrop::no_client) == 1; }));
  CHECK(all.one.strays(PortDrop::no_client) == 0);
}

TEST(queues_one_each, "shared device: an address is one client's, of whichever hub; who moves gets the packets there") {
  Queues all;
  come(all.one, 1);
  std::string error;
  CHECK(!all.two.hub->add(5, {-1, HubDevices::kMtu, PortItems::packets, addresses_of(1)}, error));
  all.one.hub->remove(1, true);
  all.two.add(5, addresses_of(1));
  all.two.hub->set_mode(5, PortHub::Mode::read);
  for (HubDevices* queue : {&all.one, &all.two}) {
    CHECK(queue->send(kShared, between(9, 1, false)));
    CHECK(all.two.take(1) == (std::map<uint32_t, std::vector<Bytes>>{{5, {between(9, 1, false)}}}));
  }
  // The hub goes with its clients.
  all.two.hub->stop();
  CHECK(all.one.send(kShared, between(9, 1, false)));
  CHECK(soon([&] { return all.one.strays(PortDrop::no_client) == 1; }));
  come(all.one, 1);
  CHECK(all.one.send(kShared, between(9, 1, false)));
  CHECK(all.one.take(1)[1].size() == 1);
}

TEST(queues_nat, "shared device: a client with an address of its own is found by the one that it was given, whichever queue has the packet") {
  Queues all;
  all.two.add(3, addresses_of(3), true);
  all.two.hub->set_mode(3, PortHub::Mode::read);
  all.two.write(3, between(50, 9, false));
  IpHeader ip;
  const std::vector<Bytes> sent = all.two.arrived(kShared);
  CHECK(sent.size() == 1 && parse_ip(sent[0], ip) && ip.source == addresses_of(3)[0].address);
  CHECK(all.one.send(kShared, between(9, 3, false)));
  const std::vector<Bytes> back = all.two.take(1)[3];
  CHECK(back.size() == 1 && parse_ip(back[0], ip) && ip.destination == *Address::parse("10.9.0.50"));
}

TEST(queues_pause, "shared device: who is paused keeps nobody waiting, whichever queue its packets come by") {
  Queues all;
  come(all.two, 2);
  come(all.two, 3);
  all.two.hub->set_mode(2, PortHub::Mode::pause);
  for (uint32_t i = 0; i < 900; i++) {
    CHECK(all.one.send(kShared, between(9, 2, false, static_cast<uint8_t>(i), 1300)));
    if (i % 30 != 0) continue;
    CHECK(all.one.send(kShared, between(9, 3, false)));
    CHECK(all.two.take(1)[3].size() == 1);
  }
  CHECK(soon([&] { return all.two.dropped(2, PortDrop::queue_full) > 0; }));
  all.two.hub->set_mode(2, PortHub::Mode::read);
  CHECK(all.two.take(1)[2][0] == between(9, 2, false, 0, 1300));
}

TEST(queues_slow_hub, "shared device: a hub whose carrier takes nothing loses its own packets, and no other's") {
  Queues all;
  come(all.one, 1);
  come(all.two, 2);
  // More than its batches hold, and then its inbox.
  const size_t most = kHubBatches * kBatchItems + HubInbox::kMost / HubInbox::kOverhead;
  size_t sent = 0;
  for (; sent < most && all.one.strays(PortDrop::queue_full) == 0; sent++) {
    CHECK(all.one.send(kShared, between(9, 2, false, 0, 1300)));
    if (sent % 500 != 0) continue;
    CHECK(all.one.send(kShared, between(9, 1, false)));
    CHECK(all.one.take(1)[1].size() == 1);
  }
  CHECK(all.one.strays(PortDrop::queue_full) > 0);
  CHECK(!all.two.take(1)[2].empty());
}

TEST(queues_late, "shared device: what another queue had for one that went away does not get to the next with its address") {
  Queues all;
  come(all.two, 2);
  for (size_t i = 0; all.one.strays(PortDrop::queue_full) == 0 && i < 50'000; i++) {
    CHECK(all.one.send(kShared, between(9, 2, false, 0, 1300)));
  }
  all.two.hub->remove(2, true);
  all.two.add(7, addresses_of(2));
  all.two.hub->set_mode(7, PortHub::Mode::read);
  std::map<uint32_t, std::vector<Bytes>> taken;
  CHECK(soon([&] {
    all.two.take_ready(taken);
    return all.two.strays(PortDrop::no_client) > 0;
  }));
  CHECK(all.one.send(kShared, between(9, 2, true)));
  CHECK(soon([&] {
    all.two.take_ready(taken);
    return taken.contains(7);
  }));
  CHECK(taken[7] == std::vector<Bytes>{between(9, 2, true)});
}
