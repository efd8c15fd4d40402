#include "replay_guard.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "check.h"
#include "replay_window.h"

using namespace vpnd;

TEST(replay_guard, "replay guard: of several threads with the same records, one accepts each") {
  constexpr unsigned kThreads = 4;
  constexpr uint64_t kRecords = 20000;
  ReplayGuard guard;
  guard.share();
  ReplayWindow window;
  std::atomic<uint64_t> accepted{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      for (uint64_t sequence = 0; sequence < kRecords; sequence++) {
        std::lock_guard lock(guard);
        if (!window.fresh(sequence)) continue;
        window.accept(sequence);
        accepted++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(accepted == kRecords);
  CHECK(window.next == kRecords);
}
