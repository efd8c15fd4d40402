#include "aead.h"

#include <openssl/evp.h>

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

class EvpAead final : public Aead {
 public:
  EvpAead(Cipher cipher, const uint8_t* key, Direction direction) : context_(EVP_CIPHER_CTX_new()) {
    const EVP_CIPHER* type = cipher == Cipher::aes128_gcm   ? EVP_aes_128_gcm()
                             : cipher == Cipher::aes256_gcm ? EVP_aes_256_gcm()
                                                            : EVP_chacha20_poly1305();
    const int encrypt = direction == Direction::seal ? 1 : 0;
    if (context_ && EVP_CipherInit_ex(context_, type, nullptr, key, nullptr, encrypt) != 1) {
      EVP_CIPHER_CTX_free(context_);
      context_ = nullptr;
    }
  }
  ~EvpAead() override { EVP_CIPHER_CTX_free(context_); }
  bool valid() const { return context_ != nullptr; }

  bool seal(const uint8_t* nonce, View aad, uint8_t* data, size_t size, uint8_t* tag) noexcept override {
    int n = 0;
    return begin(nonce, aad) && EVP_EncryptUpdate(context_, data, &n, data, static_cast<int>(size)) == 1 &&
           EVP_EncryptFinal_ex(context_, data + n, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag) == 1;
  }

  bool open(const uint8_t* nonce, View aad, uint8_t* data, size_t size, const uint8_t* tag) noexcept override {
    int n = 0;
    return begin(nonce, aad) && EVP_DecryptUpdate(context_, data, &n, data, static_cast<int>(size)) == 1 &&
           EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, kTagSize, const_cast<uint8_t*>(tag)) == 1 &&
           EVP_DecryptFinal_ex(context_, data + n, &n) == 1;
  }

 private:
  bool begin(const uint8_t* nonce, View aad) noexcept {
    int n = 0;
    return EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, nonce, -1) == 1 &&
           EVP_CipherUpdate(context_, nullptr, &n, aad.data(), static_cast<int>(aad.size())) == 1;
  }

  EVP_CIPHER_CTX* context_;
};

}  // namespace

std::unique_ptr<Aead> Aead::make(Cipher cipher, const uint8_t* key, Direction direction) {
  auto aead = std::make_unique<EvpAead>(cipher, key, direction);
  if (!aead->valid()) return nullptr;
  return aead;
}

}  // namespace vpnd
