#include "flow_table.h"

#include <thread>
#include <vector>

#include "check.h"

using namespace vpnd;

namespace {

FlowKey flow(uint32_t number) {
  FlowKey key{*Address::parse("10.0.0.1"), *Address::parse("10.0.0.2"), 6, static_cast<uint16_t>(number), static_cast<uint16_t>(number >> 16)};
  return key;
}

}  // namespace

TEST(flow_table, "flow table: keeps as many as it has room for, the latest first") {
  FlowTable table(1024);
  for (uint32_t i = 0; i < 300; i++) table.open(flow(i), FlowKind::tcp, 1, 100);
  unsigned kept = 0;
  for (uint32_t i = 0; i < 300; i++) kept += table.has(flow(i), 1, 100);
  CHECK(kept > 270);
  CHECK(!table.has(flow(300), 1, 100));
  // Many more than there is room for: memory stays what it is, the newest are there.
  for (uint32_t i = 1000; i < 101'000; i++) table.open(flow(i), FlowKind::tcp, 1, 100 + i / 100);
  kept = 0;
  for (uint32_t i = 100'800; i < 101'000; i++) kept += table.has(flow(i), 1, 1110);
  CHECK(kept > 190);
}

TEST(flow_table_keys, "flow table: every part of a flow tells it from others") {
  FlowTable table(64);
  const FlowKey key{*Address::parse("10.0.0.1"), *Address::parse("10.0.0.2"), 17, 5, 6};
  table.open(key, FlowKind::udp, 1, 10);
  CHECK(table.has(key, 1, 10));
  const auto other = [&](auto change) {
    FlowKey k = key;
    change(k);
    return !table.has(k, 1, 10);
  };
  CHECK(other([](FlowKey& k) { std::swap(k.local, k.remote); }));
  CHECK(other([](FlowKey& k) { std::swap(k.local_port, k.remote_port); }));
  CHECK(other([](FlowKey& k) { k.protocol = 6; }));
  CHECK(other([](FlowKey& k) { k.local.family = 6; }));
  CHECK(other([](FlowKey& k) { k.remote.bytes[15] = 1; }));
  CHECK(other([](FlowKey& k) { k.local.bytes[8] = 1; }));
  CHECK(other([](FlowKey& k) { k.local_port++; }));
}

TEST(flow_table_time, "flow table: flows end, with the rules or with time; clocks of threads may differ") {
  FlowTable table(64);
  table.open(flow(1), FlowKind::udp, 1, 1000);
  table.open(flow(2), FlowKind::tcp, 1, 1000);
  CHECK(table.has(flow(1), 1, 1300) && !table.has(flow(1), 1, 1301) && !table.has(flow(1), 2, 1000));
  CHECK(table.has(flow(2), 2, 8500) && !table.has(flow(2), 2, 8501));
  CHECK(table.has(flow(1), 1, 999));
  CHECK(table.refresh(flow(1), 1, 1300) && table.has(flow(1), 1, 1600));
  CHECK(!table.refresh(flow(1), 1, 1601) && !table.refresh(flow(3), 1, 1000));
}

TEST(flow_table_threads, "flow table: threads may use it at once") {
  FlowTable table(4096);
  std::vector<std::thread> threads;
  std::atomic<unsigned> missing{0};
  for (uint32_t t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      for (uint32_t i = 0; i < 20'000; i++) {
        const FlowKey own = flow(t << 16 | i % 50);
        table.open(own, FlowKind::tcp, 1, 100 + i / 1000);
        if (!table.has(own, 1, 100 + i / 1000)) missing++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Two threads may take the same slot for different flows.
  CHECK(missing < 600);
}
