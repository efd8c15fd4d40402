// Reads a fuzzer's bytes as a script: numbers and pieces, in order. Beyond the end everything is zero or empty.
#pragma once
#include <cstdio>
#include <cstdlib>

#include "bytes.h"

namespace vpnd::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_{data, size} {}
  bool empty() const { return left_.empty(); }
  uint8_t u8() {
    const View v = take(1);
    return v.empty() ? 0 : v[0];
  }
  uint16_t u16() {
    const View v = take(2);
    return v.size() < 2 ? 0 : load16(v.data());
  }
  // A piece with its length before it; the last one may be cut off.
  View piece() { return take(u16()); }
  View rest() { return take(left_.size()); }

 private:
  View take(size_t n) {
    const View v = left_.first(n < left_.size() ? n : left_.size());
    left_ = left_.subspan(v.size());
    return v;
  }
  View left_;
};

// A copy of its own, so that a read beyond its end is seen.
inline Bytes copy(View bytes) {
  Bytes out(bytes.begin(), bytes.end());
  out.shrink_to_fit();
  return out;
}

}  // namespace vpnd::fuzz

// A property that every input has.
#define EXPECT(condition)                                                                \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);     \
      abort();                                                                           \
    }                                                                                    \
  } while (false)
