#include "aead.h"

#include <atomic>

#include "aead_evp.h"
#include "aead_ipsec_mb.h"
#include "aead_self_test.h"

namespace vpnd {

std::string_view cipher_name(Cipher cipher) {
  switch (cipher) {
    case Cipher::aes128_gcm: return "AES-128-GCM";
    case Cipher::aes256_gcm: return "AES-256-GCM";
    case Cipher::chacha20_poly1305: return "ChaCha20-Poly1305";
  }
  return "none";
}

size_t cipher_key_size(Cipher cipher) { return cipher == Cipher::aes128_gcm ? 16 : 32; }

std::optional<Cipher> cipher_from(uint8_t number) {
  if (number < 1 || number > 3) return std::nullopt;
  return static_cast<Cipher>(number);
}

const std::vector<Cipher>& cipher_preference() {
#if defined(__x86_64__)
  static const bool aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#else
  static const bool aes = false;
#endif
  static const std::vector<Cipher> order =
      aes ? std::vector{Cipher::aes128_gcm, Cipher::aes256_gcm, Cipher::chacha20_poly1305}
          : std::vector{Cipher::chacha20_poly1305, Cipher::aes128_gcm, Cipher::aes256_gcm};
  return order;
}

namespace {

std::atomic<Crypto> wanted{Crypto::automatic};

// Why libipsec-mb cannot serve here; empty when it can. Tried once, by whoever asks first.
const std::string& ipsec_mb_fault() {
  static const std::string fault = [] {
    std::string unusable = ipsec_mb_unusable();
    if (unusable.empty() && !agrees_with_openssl(make_ipsec_mb_aead)) unusable = "libipsec-mb failed its self-test";
    return unusable;
  }();
  return fault;
}

bool by_ipsec_mb() { return wanted.load(std::memory_order_relaxed) != Crypto::openssl && ipsec_mb_fault().empty(); }

}  // namespace

std::string choose_crypto(Crypto crypto) {
  if (crypto == Crypto::ipsec_mb && !ipsec_mb_fault().empty()) return ipsec_mb_fault();
  wanted.store(crypto, std::memory_order_relaxed);
  return {};
}

std::string aead_implementation() { return by_ipsec_mb() ? ipsec_mb_name() : evp_name(); }

std::unique_ptr<Aead> Aead::make(Cipher cipher, const uint8_t* key, Direction direction, unsigned lanes) {
  if (lanes == 0 || lanes > kMaxLanes) return nullptr;
  return (by_ipsec_mb() ? make_ipsec_mb_aead : make_evp_aead)(cipher, key, direction, lanes);
}

}  // namespace vpnd
