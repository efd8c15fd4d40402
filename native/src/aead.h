// Record protection: one key, one direction, one thread.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "bytes.h"

namespace vpnd {

enum class Cipher : uint8_t { aes128_gcm = 1, aes256_gcm = 2, chacha20_poly1305 = 3 };

inline constexpr size_t kTagSize = 16;
inline constexpr size_t kNonceSize = 12;
inline constexpr size_t kMaxKeySize = 32;

std::string_view cipher_name(Cipher cipher);
size_t cipher_key_size(Cipher cipher);
std::optional<Cipher> cipher_from(uint8_t number);
// What this machine offers, best first.
const std::vector<Cipher>& cipher_preference();

class Aead {
 public:
  enum class Direction { seal, open };
  virtual ~Aead() = default;
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;

  // Encrypts in place; `tag` receives kTagSize bytes.
  virtual bool seal(const uint8_t* nonce, View aad, uint8_t* data, size_t size, uint8_t* tag) noexcept = 0;
  // Decrypts in place; false and undefined data when the tag does not fit.
  virtual bool open(const uint8_t* nonce, View aad, uint8_t* data, size_t size, const uint8_t* tag) noexcept = 0;

  // Null only when OpenSSL refuses (out of memory).
  static std::unique_ptr<Aead> make(Cipher cipher, const uint8_t* key, Direction direction);

 protected:
  Aead() = default;
};

}  // namespace vpnd
