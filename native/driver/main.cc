// The engine without Node: for sanitizers, profilers and fuzzers.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench.h"
#include "bench_delay.h"
#include "bench_micro.h"
#include "middleman.h"
#include "self_test.h"

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--self-test") == 0) return vpnd::driver::self_test();
  if (argc == 2 && strcmp(argv[1], "--middleman") == 0) return vpnd::driver::middleman();
  if (argc == 3 && strcmp(argv[1], "--bench") == 0 && atoi(argv[2]) > 0) {
    return vpnd::driver::bench(static_cast<unsigned>(atoi(argv[2])));
  }
  if (argc == 2 && strcmp(argv[1], "--micro") == 0) return vpnd::driver::bench_micro();
  if (argc >= 5 && (argc - 2) % 3 == 0 && strcmp(argv[1], "--delay") == 0) {
    return vpnd::driver::bench_delay((argc - 2) / 3, argv + 2);
  }
  fprintf(stderr,
          "usage: driver --self-test | --bench PACKETS | --micro | --delay DEVICE DEVICE MILLISECONDS [...] | --middleman\n");
  return 2;
}
