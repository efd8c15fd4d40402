// Anti-replay window of 2048 records (RFC 6347 section 4.1.2.6), plain data so that it can live in shared memory.
#pragma once
#include <cstdint>

namespace vpnd {

struct ReplayWindow {
  static constexpr uint64_t kWidth = 2048;
  // One word more than the width, so that the words being reused are never inside the window.
  static constexpr uint64_t kWords = kWidth / 64 + 1;

  uint64_t next = 0;  // one above the highest sequence accepted
  uint64_t bits[kWords] = {};

  // Checked before opening.
  bool fresh(uint64_t sequence) const {
    if (sequence >= next) return true;
    if (next - sequence > kWidth) return false;
    return (bits[sequence / 64 % kWords] >> (sequence % 64) & 1) == 0;
  }

  // Updated after opening. True: the sequence is higher than all before.
  bool accept(uint64_t sequence) {
    const bool newest = sequence >= next;
    if (newest) {
      const uint64_t last = sequence / 64;
      uint64_t word = next == 0 ? 0 : (next - 1) / 64 + 1;
      if (last >= word + kWords) word = last - kWords + 1;
      for (; word <= last; word++) bits[word % kWords] = 0;
      next = sequence + 1;
    }
    bits[sequence / 64 % kWords] |= uint64_t{1} << (sequence % 64);
    return newest;
  }
};

}  // namespace vpnd
