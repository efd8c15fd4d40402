#include "self_test.h"

#include <cstdio>

#include "scene.h"

namespace vpnd::driver {

namespace {

// Of the scene that runs.
int failures = 0;

}  // namespace

bool expect(bool ok, const char* file, int line, const char* what) {
  if (ok) return true;
  failures++;
  printf("  FAILED at %s:%d: %s\n", file, line, what);
  return false;
}

int self_test() {
  int failed = 0;
  for (const auto& scenes : {packet_scenes(), key_scenes(), session_scenes(), filter_scenes()}) {
    for (const Scene& scene : scenes) {
      failures = 0;
      scene.run();
      printf("%s %s\n", failures ? "not ok" : "ok", scene.name);
      fflush(stdout);
      failed += failures != 0;
    }
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace vpnd::driver
