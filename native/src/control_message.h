// Control messages: plaintexts of data records that are no IP packets (docs/wire.md).
#pragma once
#include <optional>

#include "bytes.h"

namespace vpnd {

enum class ControlType : uint8_t { ping = 0x10, pong = 0x11, path_challenge = 0x12, path_response = 0x13, close = 0x18 };

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

}  // namespace vpnd
