// Ed25519 (RFC 8032) keys of nodes and networks.
#pragma once
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "bytes.h"

namespace vpnd {

inline constexpr size_t kPublicKeySize = 32;
inline constexpr size_t kSignatureSize = 64;
using PublicKey = std::array<uint8_t, kPublicKeySize>;

struct EvpKeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

class NodeKey {
 public:
  // Null when the seed is not 32 bytes.
  static std::unique_ptr<NodeKey> from_seed(View seed);
  const PublicKey& public_key() const { return public_; }
  bool sign(View message, uint8_t* signature) const;

 private:
  std::unique_ptr<EVP_PKEY, EvpKeyFree> key_;
  PublicKey public_{};
};

bool verify_signature(View public_key, View message, View signature);

}  // namespace vpnd
