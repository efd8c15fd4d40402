// hot: once per packet
#include "aead_evp.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <vector>

namespace vpnd {

namespace {

class EvpAead final : public Aead {
 public:
  // Contexts are made when the session is, so that nothing is allocated per packet.
  EvpAead(Cipher cipher, const uint8_t* key, Direction direction, unsigned lanes) : contexts_(lanes) {
    const EVP_CIPHER* type = cipher == Cipher::aes128_gcm   ? EVP_aes_128_gcm()
                             : cipher == Cipher::aes256_gcm ? EVP_aes_256_gcm()
                                                            : EVP_chacha20_poly1305();
    const int encrypt = direction == Direction::seal ? 1 : 0;
    for (Context& context : contexts_) {
      context.reset(EVP_CIPHER_CTX_new());
      valid_ = valid_ && context && EVP_CipherInit_ex(context.get(), type, nullptr, key, nullptr, encrypt) == 1;
    }
  }
  bool valid() const { return valid_; }

  bool seal(unsigned lane, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
            uint8_t* tag) noexcept override {
    EVP_CIPHER_CTX* context = contexts_[lane].get();
    int n = 0;
    return begin(context, nonce, aad) && EVP_EncryptUpdate(context, out, &n, in, static_cast<int>(size)) == 1 &&
           EVP_EncryptFinal_ex(context, out + n, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag) == 1;
  }

  bool open(unsigned lane, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
            const uint8_t* tag) noexcept override {
    EVP_CIPHER_CTX* context = contexts_[lane].get();
    int n = 0;
    return begin(context, nonce, aad) && EVP_DecryptUpdate(context, out, &n, in, static_cast<int>(size)) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, const_cast<uint8_t*>(tag)) == 1 &&
           EVP_DecryptFinal_ex(context, out + n, &n) == 1;
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

  static bool begin(EVP_CIPHER_CTX* context, const uint8_t* nonce, View aad) noexcept {
    int n = 0;
    return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce, -1) == 1 &&
           EVP_CipherUpdate(context, nullptr, &n, aad.data(), static_cast<int>(aad.size())) == 1;
  }

  std::vector<Context> contexts_;  // one for each lane
  bool valid_ = true;
};

}  // namespace

std::unique_ptr<Aead> make_evp_aead(Cipher cipher, const uint8_t* key, Aead::Direction direction, unsigned lanes) {
  auto aead = std::make_unique<EvpAead>(cipher, key, direction, lanes);
  if (!aead->valid()) return nullptr;
  return aead;
}

std::string evp_name() { return std::string("OpenSSL ") + OpenSSL_version(OPENSSL_VERSION_STRING); }

}  // namespace vpnd
