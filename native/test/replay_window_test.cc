#include "replay_window.h"

#include <set>

#include "check.h"

using namespace vpnd;

namespace {

// Remembers everything.
struct Model {
  std::set<uint64_t> seen;
  bool fresh(uint64_t sequence) const {
    if (seen.empty() || sequence > *seen.rbegin()) return true;
    return *seen.rbegin() - sequence < ReplayWindow::kWidth && !seen.contains(sequence);
  }
};

void compare(uint64_t start, uint64_t (*jump)()) {
  ReplayWindow window;
  Model model;
  uint64_t at = start;
  for (int i = 0; i < 20000; i++) {
    at += jump();
    // Around the edge of the window, inside it, and far behind.
    const uint64_t back = test::random()() % 5000;
    const uint64_t sequence = i % 3 == 0 ? at : at > back ? at - back : 0;
    const bool fresh = model.fresh(sequence);
    CHECK(window.fresh(sequence) == fresh);
    if (!fresh) continue;
    const bool newest = model.seen.empty() || sequence > *model.seen.rbegin();
    CHECK(window.accept(sequence) == newest);
    CHECK(!window.fresh(sequence));
    model.seen.insert(sequence);
  }
}

}  // namespace

TEST(replay_steps, "replay window: as a model that remembers all, small steps") {
  compare(0, [] { return test::random()() % 3; });
}
TEST(replay_jumps, "replay window: as a model that remembers all, jumps") {
  compare(1 << 20, [] { return test::random()() % 4 ? test::random()() % 70 : test::random()() % 6000; });
}
TEST(replay_edges, "replay window: first records, and the last sequence numbers") {
  ReplayWindow window;
  CHECK(window.fresh(0));
  CHECK(window.accept(0));
  CHECK(!window.fresh(0));
  const uint64_t last = (uint64_t{1} << 48) - 1;
  CHECK(window.accept(last));
  CHECK(!window.fresh(last));
  CHECK(!window.fresh(0));
  CHECK(window.fresh(last - ReplayWindow::kWidth + 1));
  CHECK(!window.fresh(last - ReplayWindow::kWidth));
}
