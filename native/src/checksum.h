// hot: The Internet checksum (RFC 1071). Sums are kept in the machine's byte order, which the sum does not mind, and are not
// folded until they are stored: a sum of at most 64 KB stays below 2^46, so that many may be added.
#pragma once
#include "bytes.h"

namespace vpnd {

// The sum of the bytes as 16-bit words, an odd last byte padded with zero. Of a part of something: the part must begin at an
// even place.
uint64_t sum_bytes(View data) noexcept;

// What `value`, written big-endian, adds.
inline uint64_t sum_word(uint32_t value) noexcept {
  uint8_t bytes[2];
  store16(bytes, value);
  uint16_t word;
  memcpy(&word, bytes, 2);
  return word;
}
inline uint64_t sum_dword(uint32_t value) noexcept { return sum_word(value >> 16) + sum_word(value & 0xffff); }

// The word at p, as it adds.
inline uint64_t sum_at(const uint8_t* p) noexcept {
  uint16_t word;
  memcpy(&word, p, 2);
  return word;
}

// Takes away what the word of 16 bits `sum` adds.
inline uint64_t sum_without(uint64_t sum) noexcept { return static_cast<uint16_t>(~sum); }

inline uint16_t fold_sum(uint64_t sum) noexcept {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// Writes a folded sum, or its complement, as it belongs into a checksum field.
inline void write_sum(uint8_t* p, uint16_t folded) noexcept { memcpy(p, &folded, 2); }
inline void write_checksum(uint8_t* p, uint64_t sum) noexcept { write_sum(p, static_cast<uint16_t>(~fold_sum(sum))); }

// For UDP, where zero says that there is none (RFC 768).
inline void write_nonzero_checksum(uint8_t* p, uint64_t sum) noexcept {
  const uint16_t value = static_cast<uint16_t>(~fold_sum(sum));
  write_sum(p, value == 0 ? 0xffff : value);
}

// True for the sum of bytes that hold their own right checksum.
inline bool sum_is_right(uint64_t sum) noexcept { return fold_sum(sum) == 0xffff; }

// The pseudo-header of TCP and UDP, without its length; `ip` is an IPv4 or IPv6 header (RFC 9293 section 3.1, RFC 8200 section 8.1).
inline uint64_t pseudo_sum(const uint8_t* ip, uint8_t protocol) noexcept {
  const bool four = ip[0] >> 4 == 4;
  return sum_bytes(four ? View{ip + 12, 8} : View{ip + 8, 32}) + sum_word(protocol);
}

}  // namespace vpnd
