#pragma once
#include <time.h>

#include <cstdint>

namespace vpnd {

inline uint64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000 + static_cast<uint64_t>(t.tv_nsec);
}
inline uint64_t now_ms() { return now_ns() / 1000000; }
// Good enough for "last heard"; costs no system call and no TSC read.
inline uint64_t coarse_ms() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000 + static_cast<uint64_t>(t.tv_nsec) / 1000000;
}

}  // namespace vpnd
