// One device for all clients of a port hub.
#include "shared_device.h"

#include <atomic>
#include <thread>

#include "hub_devices.h"
#include "hub_packets.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

constexpr uint32_t kShared = HubDevices::kShared;

struct Shared : HubDevices {
  explicit Shared(uint32_t clients, Destinations where = {{}, {}}) : HubDevices(std::move(where), true) {
    for (uint32_t id = 1; id <= clients; id++) {
      add(id, addresses_of(id));
      hub->set_mode(id, PortHub::Mode::read);
    }
  }
};

}  // namespace

TEST(shared_dispatch, "shared device: each client gets what is for its addresses, in order, and nobody what is for none") {
  Shared hub(5);
  std::map<uint32_t, std::vector<Bytes>> sent;
  for (uint8_t i = 0; i < 50; i++) {
    const uint32_t to = i % 5 + 1;
    sent[to].push_back(between(9, to, i % 3 == 0, i));
    CHECK(hub.send(kShared, sent[to].back()));
    if (i % 10 == 0) CHECK(hub.send(kShared, between(9, 77, i & 1)));
    if (i % 25 == 0) CHECK(hub.send(kShared, Bytes{1, 2, 3}));
  }
  CHECK(hub.take(50) == sent);
  CHECK(hub.strays(PortDrop::no_client) == 5 && hub.strays(PortDrop::malformed_packet) == 2);
}

TEST(shared_few_batches, "shared device: packets that come by turns do not make a batch each") {
  std::string error;
  std::atomic<int> calls{0};
  const auto hub = PortHub::make({{}, {}}, [&] { calls++; }, error);
  int fds[2];
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0 && hub->share(fds[0], error));
  for (uint32_t id = 1; id <= 4; id++) {
    CHECK(hub->add(id, {-1, HubDevices::kMtu, PortItems::packets, addresses_of(id)}, error));
    hub->set_mode(id, PortHub::Mode::read);
  }
  // All lie there before the thread begins.
  for (uint8_t i = 0; i < 8; i++) {
    const Bytes packet = between(9, i % 4 + 1, false, i);
    CHECK(::send(fds[1], packet.data(), packet.size(), 0) > 0);
  }
  hub->start();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (calls == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  std::vector<size_t> items;
  while (const auto filled = hub->take()) items.push_back(filled->batch.items);
  CHECK((items == std::vector<size_t>{2, 2, 2, 2}));
  close(fds[1]);
}

TEST(shared_sources, "shared device: a client sends as itself only, and to others only where clients may") {
  Shared hub(2, Destinations({*Prefix::parse("10.9.0.2")}, {}));
  hub.write(1, between(1, 9, false));
  CHECK(hub.arrived(kShared) == std::vector<Bytes>{between(1, 9, false)});
  hub.write(1, between(2, 9, false));
  hub.write(1, between(1, 2, false));
  CHECK(hub.arrived(kShared).empty());
  CHECK(hub.dropped(1, PortDrop::foreign_source) == 1 && hub.dropped(1, PortDrop::forbidden_destination) == 1);
}

TEST(shared_pause, "shared device: who is paused keeps nobody waiting, and has later what came meanwhile, up to a limit") {
  Shared hub(2);
  hub.hub->set_mode(1, PortHub::Mode::pause);
  constexpr uint32_t kSent = 900;  // of which there is room for less
  constexpr size_t kSize = 1300;
  for (uint32_t i = 0; i < kSent; i++) {
    const auto mark = static_cast<uint8_t>(i);
    CHECK(hub.send(kShared, between(9, 1, false, mark, kSize)));
    if (i % 10 != 0) continue;
    CHECK(hub.send(kShared, between(9, 2, false, mark)));
    CHECK(hub.take(1)[2] == std::vector<Bytes>{between(9, 2, false, mark)});
  }
  const size_t most = Backlog::kMost / (between(9, 1, false, 0, kSize).size() + Backlog::kOverhead);
  CHECK(most < kSent);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (hub.dropped(1, PortDrop::queue_full) < kSent - most && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  CHECK(hub.dropped(1, PortDrop::queue_full) == kSent - most);
  hub.hub->set_mode(1, PortHub::Mode::read);
  const std::vector<Bytes> late = hub.take(most)[1];
  CHECK(late.size() == most);
  for (size_t i = 0; i < late.size(); i++) CHECK(late[i] == between(9, 1, false, static_cast<uint8_t>(i), kSize));
  // And then as ever.
  CHECK(hub.send(kShared, between(9, 1, true)));
  CHECK(hub.take(1)[1] == std::vector<Bytes>{between(9, 1, true)});
}

TEST(shared_away, "shared device: what waited for one that went away does not come late, nor to the next with its address") {
  Shared hub(1);
  hub.hub->set_mode(1, PortHub::Mode::pause);
  CHECK(hub.send(kShared, between(9, 1, false)));
  CHECK(hub.send(kShared, between(9, 77, false)));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (hub.strays(PortDrop::no_client) == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  hub.hub->set_mode(1, PortHub::Mode::discard);
  CHECK(hub.dropped(1, PortDrop::no_client) == 1);
  CHECK(hub.hub->remove(1, true) == -1);
  hub.add(2, addresses_of(1));
  hub.hub->set_mode(2, PortHub::Mode::read);
  CHECK(hub.send(kShared, between(9, 1, true)));
  CHECK(hub.take(1) == (std::map<uint32_t, std::vector<Bytes>>{{2, {between(9, 1, true)}}}));
}

TEST(shared_refused, "shared device: no two clients with one address, none with a prefix, none with a device of its own") {
  Shared hub(1);
  std::string error;
  CHECK(!hub.hub->add(2, {-1, HubDevices::kMtu, PortItems::packets, {*Prefix::parse("10.9.0.1")}}, error));
  CHECK(!hub.hub->add(2, {-1, HubDevices::kMtu, PortItems::packets, {*Prefix::parse("10.9.1.0/24")}}, error));
  CHECK(!hub.hub->add(2, {0, HubDevices::kMtu, PortItems::packets, addresses_of(2)}, error));
  CHECK(!hub.hub->share(0, error));
  HubDevices alone;
  CHECK(!alone.hub->add(1, {-1, HubDevices::kMtu, PortItems::packets, addresses_of(1)}, error));
}

TEST(shared_nat, "shared device: a client with an address of its own is found by the one that it was given") {
  Shared hub(0);
  hub.add(3, addresses_of(3), true);
  hub.hub->set_mode(3, PortHub::Mode::read);
  hub.write(3, between(50, 9, false));
  const std::vector<Bytes> sent = hub.arrived(kShared);
  IpHeader ip;
  CHECK(sent.size() == 1 && parse_ip(sent[0], ip) && ip.source == addresses_of(3)[0].address);
  CHECK(hub.send(kShared, between(9, 3, false)));
  const std::vector<Bytes> back = hub.take(1)[3];
  CHECK(back.size() == 1 && parse_ip(back[0], ip) && ip.destination == *Address::parse("10.9.0.50"));
}
