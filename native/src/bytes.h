// Big-endian loads and stores, and the span type used for untrusted bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace vpnd {

using Bytes = std::vector<uint8_t>;
using View = std::span<const uint8_t>;

inline uint16_t load16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
inline uint32_t load32(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 | static_cast<uint32_t>(p[2]) << 8 | p[3];
}
inline uint64_t load48(const uint8_t* p) { return static_cast<uint64_t>(load16(p)) << 32 | load32(p + 2); }
inline uint64_t load64(const uint8_t* p) { return static_cast<uint64_t>(load32(p)) << 32 | load32(p + 4); }
inline void store16(uint8_t* p, uint32_t v) {
  p[0] = static_cast<uint8_t>(v >> 8);
  p[1] = static_cast<uint8_t>(v);
}
inline void store32(uint8_t* p, uint32_t v) {
  store16(p, v >> 16);
  store16(p + 2, v & 0xffff);
}
inline void store64(uint8_t* p, uint64_t v) {
  store32(p, static_cast<uint32_t>(v >> 32));
  store32(p + 4, static_cast<uint32_t>(v));
}

// Reads a message front to back. After a read beyond the end everything is zero or empty and ok() is false.
class Reader {
 public:
  explicit Reader(View data) : data_(data) {}
  uint8_t u8() { auto v = take(1); return v.empty() ? 0 : v[0]; }
  uint16_t u16() { auto v = take(2); return v.empty() ? 0 : load16(v.data()); }
  uint32_t u32() { auto v = take(4); return v.empty() ? 0 : load32(v.data()); }
  uint64_t u64() { auto v = take(8); return v.empty() ? 0 : load64(v.data()); }
  View take(size_t n) {
    if (!ok_ || n > data_.size() - at_) {
      ok_ = false;
      return {};
    }
    View v = data_.subspan(at_, n);
    at_ += n;
    return v;
  }
  size_t at() const { return at_; }
  size_t left() const { return data_.size() - at_; }
  bool ok() const { return ok_; }

 private:
  View data_;
  size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace vpnd
