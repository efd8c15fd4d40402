#include <cstring>

#include "check.h"

namespace vpnd::test {

namespace {
Test* first = nullptr;
Test** last = &first;
int failures = 0;
constexpr int kShown = 20;
}  // namespace

Test::Test(const char* name_, void (*run_)()) : name(name_), run(run_) {
  *last = this;
  last = &next;
}

void fail(const char* file, int line, const char* what) {
  if (failures++ < kShown) printf("  %s:%d: %s\n", file, line, what);
}

static int run_all() {
  int failed = 0;
  for (Test* test = first; test; test = test->next) {
    const int before = failures;
    test->run();
    if (failures != before) failed++;
    printf("%s %s\n", failures == before ? "ok" : "not ok", test->name);
  }
  return failed == 0 && first ? 0 : 1;
}

}  // namespace vpnd::test

int main() { return vpnd::test::run_all(); }
