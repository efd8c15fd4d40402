#include "newcomers.h"

#include <set>

#include "check.h"

namespace vpnd {

namespace {

Address source(uint32_t n) {
  const uint8_t bytes[] = {198, static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)};
  return Address::v4(bytes);
}

// Begins one if it may; its number or 0.
struct Door {
  Newcomers newcomers{1};
  std::set<uint32_t> open;
  uint32_t last = 0;
  uint32_t evicted = 0;
  uint32_t knock(const Address& from, uint64_t now_ms) {
    if (!newcomers.welcome(from, now_ms)) return 0;
    const uint32_t id = ++last;
    evicted = newcomers.begin(from, id, now_ms);
    open.insert(id);
    return id;
  }
};

}  // namespace

TEST(newcomers_share, "newcomers: one source begins a burst, then few a second, and holds a bounded number") {
  Door door;
  unsigned begun = 0;
  for (int i = 0; i < 1000; i++) {
    const uint32_t id = door.knock(source(1), 1000);
    begun += id != 0;
    if (id && door.evicted) door.newcomers.end(source(1), door.evicted);
    CHECK(door.newcomers.open() <= Newcomers::kMaxOpenOfSource);
  }
  CHECK(begun == Newcomers::kSourceBurst);
  for (uint64_t ms = 1001; ms <= 11'000; ms++) begun += door.knock(source(1), ms) != 0;
  CHECK(begun >= Newcomers::kSourceBurst + 10 * Newcomers::kSourceRate - 1 && begun <= Newcomers::kSourceBurst + 10 * Newcomers::kSourceRate + 1);
  CHECK(door.knock(source(2), 11'000) != 0);
}

TEST(newcomers_good, "newcomers: what succeeds is not held against its source") {
  Door door;
  for (int i = 0; i < 900; i++) {
    const uint32_t id = door.knock(source(1), 1000);
    CHECK(id != 0);
    door.newcomers.succeed(source(1));
    door.newcomers.end(source(1), id);
  }
  CHECK(door.newcomers.open() == 0);
}

TEST(newcomers_forged, "newcomers: asking takes nothing") {
  Door door;
  for (uint32_t i = 0; i < 100'000; i++) door.newcomers.welcome(source(i), 1000);
  CHECK(door.newcomers.sources() == 0 && door.newcomers.open() == 0);
}

TEST(newcomers_greedy, "newcomers: the source that holds the most gives way") {
  Door door;
  uint64_t now = 1000;
  // Eight sources take 60 each, others one each; all within what may begin at once.
  std::set<uint32_t> greedy;
  for (uint32_t i = 0; i < 60; i++) {
    for (uint32_t s = 0; s < 8; s++) greedy.insert(door.knock(source(s), now += 10));
  }
  for (uint32_t s = 100; door.newcomers.open() < Newcomers::kMaxOpen; s++) CHECK(door.knock(source(s), now += 10) != 0);
  for (uint32_t s = 200; s < 300; s++) {
    CHECK(door.knock(source(s), now += 10) != 0);
    CHECK(greedy.contains(door.evicted));
    for (uint32_t of = 0; of < 8; of++) door.newcomers.end(source(of), door.evicted);
  }
  CHECK(door.newcomers.open() == Newcomers::kMaxOpen);
}

TEST(newcomers_scarce, "newcomers: when all begin too many, those who came in vain wait for those who did not") {
  Door door;
  // 50 sources use up half of what there is for all.
  for (uint32_t i = 0; i < 20; i++) {
    for (uint32_t s = 0; s < 50; s++) {
      if (const uint32_t id = door.knock(source(s), 1000)) door.newcomers.end(source(s), id);
    }
  }
  CHECK(door.knock(source(7), 1000) == 0);
  CHECK(door.knock(source(1000), 1000) != 0);
}

TEST(newcomers_memory, "newcomers: memory is bounded, and an IPv6 /64 is one source") {
  Door door;
  for (uint32_t i = 0; i < 50'000; i++) {
    const Address from = source(i);
    if (const uint32_t id = door.knock(from, 1000 + i)) door.newcomers.end(from, id);
  }
  CHECK(door.newcomers.sources() <= 4096);
  Door six;
  unsigned begun = 0;
  for (unsigned i = 0; i < 400; i++) {
    const std::string text = "2001:db8::" + std::to_string(i);
    const uint32_t id = six.knock(*Address::parse(text), 1000);
    begun += id != 0;
    if (id) six.newcomers.end(*Address::parse(text), id);
  }
  CHECK(begun == Newcomers::kSourceBurst && six.newcomers.sources() == 1);
}

}  // namespace vpnd
