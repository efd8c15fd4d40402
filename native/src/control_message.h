// Control messages: plaintexts of data records that are no IP packets (docs/wire.md).
#pragma once
#include <optional>

#include "bytes.h"

namespace vpnd {

enum class ControlType : uint8_t {
  ping = 0x10,
  pong = 0x11,
  path_challenge = 0x12,
  path_response = 0x13,
  mtu_probe = 0x14,
  mtu_answer = 0x15,
  close = 0x18
};

// Types from here on are TypeScript's business.
inline constexpr uint8_t kFirstForeignControlType = 0x20;
inline constexpr uint8_t kLastControlType = 0x3f;
inline constexpr size_t kMaxControlMessage = 1200;

inline Bytes encode_token(ControlType type, uint64_t token) {
  Bytes out(9);
  out[0] = static_cast<uint8_t>(type);
  store64(out.data() + 1, token);
  return out;
}

inline std::optional<uint64_t> decode_token(View message) {
  if (message.size() != 9) return std::nullopt;
  return load64(message.data() + 1);
}

// As long as the packet that it stands for.
inline Bytes encode_mtu_probe(uint64_t token, size_t size) {
  Bytes out = encode_token(ControlType::mtu_probe, token);
  if (out.size() < size) out.resize(size);
  return out;
}

inline std::optional<uint64_t> decode_mtu_probe(View message) {
  return message.size() < 9 ? std::nullopt : decode_token(message.first(9));
}

// `size`: of the probe.
inline Bytes encode_mtu_answer(uint64_t token, size_t size) {
  Bytes out = encode_token(ControlType::mtu_answer, token);
  out.resize(11);
  store16(out.data() + 9, static_cast<uint32_t>(size));
  return out;
}

// Unpredictable, so that nobody can answer what did not arrive.
uint64_t random_token();

struct MtuAnswer {
  uint64_t token;
  size_t size;
};

inline std::optional<MtuAnswer> decode_mtu_answer(View message) {
  if (message.size() != 11) return std::nullopt;
  return MtuAnswer{load64(message.data() + 1), load16(message.data() + 9)};
}

}  // namespace vpnd
