#include "aead_self_test.h"

#include "aead_evp.h"

namespace vpnd {

namespace {

constexpr size_t kAllSizesTo = 300;
constexpr size_t kLongSizes[] = {511,  512,  513,  767,  768,  769,  1023,  1024,  1025,  1279,  1280,  1399,
                                 1400, 1401, 1417, 1500, 4096, 8999, 16383, 16384, 16385, 65518, 65519};
constexpr size_t kLongest = 65519;
constexpr size_t kAadSize = 27;  // of a record

class Trial {
 public:
  Trial(MakeAead make, Cipher cipher) {
    uint8_t key[kMaxKeySize];
    for (uint8_t& byte : key) byte = next();
    sealer_ = make(cipher, key, Aead::Direction::seal, 1);
    opener_ = make(cipher, key, Aead::Direction::open, 1);
    reference_ = make_evp_aead(cipher, key, Aead::Direction::seal, 1);
    plain_.resize(kLongest);
    expected_.resize(kLongest);
    result_.resize(kLongest);
    for (uint8_t& byte : plain_) byte = next();
  }

  bool run() {
    if (!sealer_ || !opener_ || !reference_) return false;
    for (size_t size = 0; size <= kAllSizesTo; size++) {
      if (!agrees(size)) return false;
    }
    for (const size_t size : kLongSizes) {
      if (!agrees(size)) return false;
    }
    return true;
  }

 private:
  // Anything but zeros; it need not be random.
  uint8_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint8_t>(state_ >> 56);
  }

  bool result_is(const Bytes& wanted, size_t size) const { return memcmp(result_.data(), wanted.data(), size) == 0; }

  bool agrees(size_t size) {
    uint8_t nonce[kNonceSize], aad_bytes[kAadSize], wanted[kTagSize], tag[kTagSize];
    for (uint8_t& byte : nonce) byte = next();
    for (uint8_t& byte : aad_bytes) byte = next();
    const View aad(aad_bytes);
    uint8_t* out = result_.data();
    if (!reference_->seal(0, nonce, aad, plain_.data(), expected_.data(), size, wanted)) return false;
    auto right_tag = [&] { return memcmp(tag, wanted, kTagSize) == 0; };

    if (!sealer_->seal(0, nonce, aad, plain_.data(), out, size, tag) || !right_tag() || !result_is(expected_, size)) return false;
    memcpy(out, plain_.data(), size);
    if (!sealer_->seal(0, nonce, aad, out, out, size, tag) || !right_tag() || !result_is(expected_, size)) return false;
    if (!opener_->open(0, nonce, aad, out, out, size, tag) || !result_is(plain_, size)) return false;
    memset(out, 0, size);
    if (!opener_->open(0, nonce, aad, expected_.data(), out, size, tag) || !result_is(plain_, size)) return false;

    tag[size % kTagSize] ^= static_cast<uint8_t>(1u << (size / kTagSize % 8));
    return !opener_->open(0, nonce, aad, expected_.data(), out, size, tag);
  }

  std::unique_ptr<Aead> sealer_, opener_, reference_;
  Bytes plain_, expected_, result_;
  uint64_t state_ = 0x76706e64;
};

}  // namespace

bool agrees_with_openssl(MakeAead make) {
  for (const Cipher cipher : {Cipher::aes128_gcm, Cipher::aes256_gcm, Cipher::chacha20_poly1305}) {
    if (!Trial(make, cipher).run()) return false;
  }
  return true;
}

}  // namespace vpnd
