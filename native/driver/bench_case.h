// One measured piece of work, and its line of JSON.
#pragma once
#include <ctime>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>

#include "clock.h"

namespace vpnd::driver {

// Keeps the compiler from dropping work whose result nobody takes.
template <typename T>
inline void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

// `ns` and `cpu_ns`: for each of the things that are counted. `bytes`: in each; 0: it makes no sense.
inline void print_case(const char* group, const char* what, double ns, double cpu_ns, size_t bytes) {
  printf("{\"group\":\"%s\",\"what\":\"%s\",\"ns\":%.2f,\"cpuNs\":%.2f,\"bytes\":%zu}\n", group, what, ns, cpu_ns, bytes);
  fflush(stdout);
}

inline uint64_t cpu_ns() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000 + static_cast<uint64_t>(t.tv_nsec);
}

// Runs `work`, which does `each` things a call, five times for a tenth of a second; the median counts.
inline void measure(const char* group, const char* what, size_t bytes, size_t each, const std::function<void()>& work) {
  constexpr uint64_t kSpan = 100'000'000;
  std::array<double, 5> wall, cpu;
  work();
  for (size_t i = 0; i < wall.size(); i++) {
    const uint64_t begin = now_ns(), cpu_begin = cpu_ns();
    uint64_t calls = 0, end;
    do {
      work();
      calls++;
      end = now_ns();
    } while (end - begin < kSpan);
    const double things = static_cast<double>(calls) * static_cast<double>(each);
    wall[i] = static_cast<double>(end - begin) / things;
    cpu[i] = static_cast<double>(cpu_ns() - cpu_begin) / things;
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  print_case(group, what, wall[wall.size() / 2], cpu[cpu.size() / 2], bytes);
}

}  // namespace vpnd::driver
