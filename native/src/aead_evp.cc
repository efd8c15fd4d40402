// hot: once per packet
#include "aead_evp.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <vector>

namespace vpnd {

namespace {

class EvpAead final : public Aead {
 public:
  EvpAead(Cipher cipher, const uint8_t* key, Direction direction, unsigned lanes)
      : type_(cipher == Cipher::aes128_gcm   ? EVP_aes_128_gcm()
              : cipher == Cipher::aes256_gcm ? EVP_aes_256_gcm()
                                             : EVP_chacha20_poly1305()),
        encrypt_(direction == Direction::seal ? 1 : 0),
        contexts_(lanes) {
    memcpy(key_, key, cipher_key_size(cipher));
  }
  ~EvpAead() override { OPENSSL_cleanse(key_, sizeof key_); }

  bool seal(unsigned lane, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
            uint8_t* tag) noexcept override {
    EVP_CIPHER_CTX* context = at(lane);
    int n = 0;
    return context && begin(context, nonce, aad) && EVP_EncryptUpdate(context, out, &n, in, static_cast<int>(size)) == 1 &&
           EVP_EncryptFinal_ex(context, out + n, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag) == 1;
  }

  bool open(unsigned lane, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
            const uint8_t* tag) noexcept override {
    EVP_CIPHER_CTX* context = at(lane);
    int n = 0;
    return context && begin(context, nonce, aad) && EVP_DecryptUpdate(context, out, &n, in, static_cast<int>(size)) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, const_cast<uint8_t*>(tag)) == 1 &&
           EVP_DecryptFinal_ex(context, out + n, &n) == 1;
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

  // Made when a lane is first used, and kept: a context takes a kilobyte, and most lanes of most sessions never seal or open.
  EVP_CIPHER_CTX* at(unsigned lane) noexcept {
    Context& context = contexts_[lane];
    if (!context) {
      Context fresh(EVP_CIPHER_CTX_new());
      if (fresh && EVP_CipherInit_ex(fresh.get(), type_, nullptr, key_, nullptr, encrypt_) == 1) context = std::move(fresh);
    }
    return context.get();
  }

  static bool begin(EVP_CIPHER_CTX* context, const uint8_t* nonce, View aad) noexcept {
    int n = 0;
    return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce, -1) == 1 &&
           EVP_CipherUpdate(context, nullptr, &n, aad.data(), static_cast<int>(aad.size())) == 1;
  }

  const EVP_CIPHER* const type_;
  const int encrypt_;
  uint8_t key_[kMaxKeySize] = {};
  std::vector<Context> contexts_;  // one for each lane
};

}  // namespace

std::unique_ptr<Aead> make_evp_aead(Cipher cipher, const uint8_t* key, Aead::Direction direction, unsigned lanes) {
  return std::make_unique<EvpAead>(cipher, key, direction, lanes);
}

std::string evp_name() { return std::string("OpenSSL ") + OpenSSL_version(OPENSSL_VERSION_STRING); }

}  // namespace vpnd
