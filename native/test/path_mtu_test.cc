#include "path_mtu.h"

#include <algorithm>
#include <vector>

#include "check.h"

using namespace vpnd;

namespace {

constexpr size_t kOverhead = 62;

// A path that carries inner packets of `fits` bytes; time passes as it is asked.
struct Path {
  size_t fits;
  bool refuses = false;  // the kernel says so, instead of nobody
  uint64_t now = 1'000'000;
  uint64_t traffic = 0;
  size_t sent = 0;
  size_t largest = 0;

  // Until nothing is due any more.
  void settle(PathMtu& mtu) {
    for (int i = 0; i < 1000; i++) {
      if (const auto probe = mtu.poll(now, traffic, 10'000'000, i + 1)) {
        sent++;
        largest = std::max(largest, probe->size);
        if (probe->size <= fits) CHECK(mtu.answered(probe->token, probe->size, now));
        else if (refuses) mtu.refused(now);
      }
      if (mtu.due_ms() == PathMtu::kNever) return;
      now = std::max(now, mtu.due_ms());
    }
    CHECK(false && "it settles");
  }
  // A search that has come to its end.
  PathMtu searched(size_t top) {
    PathMtu mtu(top);
    mtu.start(kOverhead, now);
    settle(mtu);
    return mtu;
  }
  void later(PathMtu& mtu, uint64_t ms) {
    now += ms;
    traffic = now;
    settle(mtu);
  }
};

}  // namespace

TEST(path_mtu_full, "path MTU: one probe confirms the configured size") {
  PathMtu mtu(1400);
  CHECK(!mtu.running() && mtu.mtu() == 1400 && !mtu.poll(1, 1, 0, 1));
  Path path{.fits = 1400};
  mtu.start(kOverhead, path.now);
  path.settle(mtu);
  CHECK(path.sent == 1 && mtu.mtu() == 1400 && mtu.settled());
}

TEST(path_mtu_common, "path MTU: common sizes are found to the byte, within seconds") {
  for (const size_t outer : {1280, 1300, 1420, 1450, 1492}) {
    for (const size_t overhead : {62, 82}) {
      Path path{.fits = outer - overhead};
      PathMtu mtu(1440);
      mtu.start(overhead, path.now);
      const uint64_t begun = path.now;
      path.settle(mtu);
      CHECK(mtu.mtu() == std::min<size_t>(1440, path.fits));
      CHECK(path.now - begun < 5000);
    }
  }
}

TEST(path_mtu_any, "path MTU: never more than fits, nearly all of it, never probed above the configured size") {
  for (size_t top = 68; top <= 9000; top += top < 1600 ? 97 : 1111) {
    for (size_t fits = 514; fits <= 9100; fits += 61) {
      Path path{.fits = fits, .refuses = fits % 2 == 0};
      PathMtu mtu = path.searched(top);
      CHECK(mtu.settled() && path.largest <= top);
      CHECK(mtu.mtu() <= std::max<size_t>(fits, std::min<size_t>(top, 514)));
      CHECK(mtu.mtu() + 24 > std::min(top, fits));
      CHECK(path.sent < 60);
    }
  }
}

TEST(path_mtu_dead, "path MTU: a peer that answers nothing changes nothing") {
  Path path{.fits = 0};
  PathMtu mtu = path.searched(1400);
  CHECK(mtu.mtu() == 1400 && mtu.settled());
  path.later(mtu, 20'000);
  CHECK(mtu.mtu() == 1400);
  path.fits = 1218;
  path.later(mtu, 20'000);
  CHECK(mtu.mtu() == 1218);
}

TEST(path_mtu_hole, "path MTU: a black hole is found while traffic flows, and never without") {
  Path path{.fits = 1400};
  PathMtu mtu = path.searched(1400);
  path.fits = 1218;
  const size_t sent = path.sent;
  path.now += 100'000;
  path.settle(mtu);
  CHECK(path.sent == sent && mtu.mtu() == 1400);
  path.later(mtu, PathMtu::kConfirmMs);
  CHECK(mtu.mtu() == 1218);
}

TEST(path_mtu_raise, "path MTU: a path that grew is noticed after ten minutes, at once when it is a new one") {
  Path path{.fits = 1218};
  PathMtu mtu = path.searched(1400);
  path.fits = 1400;
  path.later(mtu, PathMtu::kConfirmMs + 1);
  CHECK(mtu.mtu() == 1218);
  path.later(mtu, PathMtu::kRaiseMs);
  CHECK(mtu.mtu() == 1400);
  path.fits = 1300;
  mtu.start(kOverhead, path.now);
  CHECK(mtu.mtu() == 1400);
  path.settle(mtu);
  CHECK(mtu.mtu() == 1298);
  // Still no more: what is known stays.
  path.later(mtu, PathMtu::kRaiseMs);
  CHECK(mtu.mtu() == 1298);
}

TEST(path_mtu_suspect, "path MTU: what the kernel refuses lowers it at once, and a suspicion is limited") {
  Path path{.fits = 1400, .refuses = true};
  PathMtu mtu = path.searched(1400);
  path.fits = 1238;
  mtu.suspect(path.now);
  CHECK(mtu.settled());
  path.now += 1000;
  const uint64_t before = path.now;
  mtu.suspect(path.now);
  CHECK(!mtu.settled());
  const auto probe = mtu.poll(path.now, 0, 0, 1);
  CHECK(probe && probe->size == 1400);
  mtu.refused(path.now);
  CHECK(mtu.mtu() == 1200 - kOverhead);
  path.settle(mtu);
  CHECK(mtu.mtu() == 1238 && path.now == before);
}

TEST(path_mtu_tokens, "path MTU: only the right answer counts, and a late one does") {
  PathMtu mtu(1400);
  uint64_t now = 5000;
  mtu.start(kOverhead, now);
  const auto first = mtu.poll(now, 0, 0, 77);
  CHECK(first && first->size == 1400);
  CHECK(!mtu.poll(now, 0, 0, 78));
  now = mtu.due_ms();
  const auto second = mtu.poll(now, 0, 0, 79);
  CHECK(second && second->token == first->token);
  CHECK(!mtu.answered(first->token + 2, 1400, now));
  CHECK(!mtu.answered(first->token, 1300, now));
  CHECK(mtu.answered(first->token, 1400, now));
  CHECK(!mtu.answered(first->token, 1400, now));
  mtu.stop();
  CHECK(!mtu.poll(now + 100'000, now + 100'000, 0, 3) && mtu.due_ms() == PathMtu::kNever);
}
