// Record protection: one key, one direction, a lane for each thread that uses it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bytes.h"

namespace vpnd {

enum class Cipher : uint8_t { aes128_gcm = 1, aes256_gcm = 2, chacha20_poly1305 = 3 };

inline constexpr size_t kTagSize = 16;
inline constexpr size_t kNonceSize = 12;
inline constexpr size_t kMaxKeySize = 32;

// The control thread's lane; packet threads have 1 to N.
inline constexpr unsigned kControlLane = 0;
inline constexpr unsigned kMaxLanes = 33;

std::string_view cipher_name(Cipher cipher);
size_t cipher_key_size(Cipher cipher);
std::optional<Cipher> cipher_from(uint8_t number);
// What this machine offers, best first.
const std::vector<Cipher>& cipher_preference();

// Who protects records: libipsec-mb where it can and OpenSSL elsewhere, only the former, or only the latter.
enum class Crypto : uint8_t { automatic, ipsec_mb, openssl };

// For sessions made from now on, of the whole process. Not empty: why that is not possible; then nothing changed.
std::string choose_crypto(Crypto crypto);
// Who protects records in sessions made from now on: "libipsec-mb 1.3.0 AVX512", "OpenSSL 3.0.15".
std::string aead_implementation();

class Aead {
 public:
  enum class Direction { seal, open };
  virtual ~Aead() = default;
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;

  // Threads may work at the same time, each in its own lane. `in` and `out` are the same place or do not overlap.
  // Encrypts; `tag` receives kTagSize bytes.
  virtual bool seal(unsigned lane, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
                    uint8_t* tag) noexcept = 0;
  // Decrypts; false and undefined data at `out` when the tag does not fit.
  virtual bool open(unsigned lane, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
                    const uint8_t* tag) noexcept = 0;

  // For lanes 0 to `lanes` - 1, at most kMaxLanes, by who was chosen. Null for another number of lanes.
  static std::unique_ptr<Aead> make(Cipher cipher, const uint8_t* key, Direction direction, unsigned lanes);

 protected:
  Aead() = default;
};

}  // namespace vpnd
