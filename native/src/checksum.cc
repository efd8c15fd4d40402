#include "checksum.h"

namespace vpnd {

namespace {

// Both halves of each 64-bit word into sums of their own: no carry to look after.
uint64_t sum_words(const uint8_t* p, size_t size) noexcept {
  uint64_t low = 0, high = 0, word;
  for (; size >= 8; p += 8, size -= 8) {
    memcpy(&word, p, 8);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  if (size > 0) {
    word = 0;
    memcpy(&word, p, size);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  return low + high;
}

using Vector = uint64_t __attribute__((vector_size(32)));

// The compiler makes of Vector what the processor has.
__attribute__((always_inline)) inline uint64_t sum_vectors(const uint8_t* p, size_t size) noexcept {
  Vector low[2] = {}, high[2] = {}, word;
  for (; size >= 2 * sizeof word; p += 2 * sizeof word, size -= 2 * sizeof word) {
    for (unsigned i = 0; i < 2; i++) {
      memcpy(&word, p + i * sizeof word, sizeof word);
      low[i] += word & 0xffffffff;
      high[i] += word >> 32;
    }
  }
  const Vector all = low[0] + low[1] + high[0] + high[1];
  return all[0] + all[1] + all[2] + all[3] + sum_words(p, size);
}

using Sum = uint64_t (*)(const uint8_t*, size_t) noexcept;

uint64_t sum_plain(const uint8_t* p, size_t size) noexcept { return sum_vectors(p, size); }

#ifdef __x86_64__
__attribute__((target("avx2"))) uint64_t sum_avx2(const uint8_t* p, size_t size) noexcept { return sum_vectors(p, size); }

Sum best_sum() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") ? sum_avx2 : sum_plain;
}
const Sum sum_large = best_sum();
#else
constexpr Sum sum_large = sum_plain;
#endif

// Below this the call through a pointer costs more than it saves.
constexpr size_t kSmall = 128;

}  // namespace

uint64_t sum_bytes(View data) noexcept {
  return data.size() < kSmall ? sum_words(data.data(), data.size()) : sum_large(data.data(), data.size());
}

}  // namespace vpnd
