// hot: once per packet
#include "aead_ipsec_mb.h"

#ifdef VPND_IPSEC_MB
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

namespace vpnd {

namespace {

// One for the process: of it only the functions are used, which keep nothing in it.
struct Library {
  Library() : manager(alloc_mb_mgr(0)) {
    if (!manager) return;
    init_mb_mgr_auto(manager, &arch);
    error = imb_get_errno(manager);
  }
  IMB_MGR* manager;
  IMB_ARCH arch = IMB_ARCH_NONE;
  int error = 0;
};

const Library& library() {
  static const Library once;
  return once;
}

// Longest text of one call; the library's own limit is far above.
constexpr size_t kMaxText = 1 << 24;

bool same_tag(const uint8_t* a, const uint8_t* b) {
  uint64_t x[2], y[2];
  memcpy(x, a, kTagSize);
  memcpy(y, b, kTagSize);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

// With what the library takes for an error it returns and has done nothing, and its error number is one for all threads: such
// calls are not made.
bool sensible(View aad, const uint8_t* in, const uint8_t* out, size_t size) {
  return size <= kMaxText && aad.data() != nullptr && in != nullptr && out != nullptr;
}

// The key data is read only and the context of a call is on its thread's stack, so lanes share everything.
template <bool k256>
class GcmAead final : public Aead {
 public:
  GcmAead(IMB_MGR* manager, const uint8_t* key) : manager_(manager) {
    if constexpr (k256) {
      IMB_AES256_GCM_PRE(manager_, key, &key_);
    } else {
      IMB_AES128_GCM_PRE(manager_, key, &key_);
    }
  }
  ~GcmAead() override { OPENSSL_cleanse(&key_, sizeof key_); }

  bool seal(unsigned, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
            uint8_t* tag) noexcept override {
    if (!sensible(aad, in, out, size)) return false;
    gcm_context_data context;
    if constexpr (k256) {
      IMB_AES256_GCM_ENC(manager_, &key_, &context, out, in, size, nonce, aad.data(), aad.size(), tag, kTagSize);
    } else {
      IMB_AES128_GCM_ENC(manager_, &key_, &context, out, in, size, nonce, aad.data(), aad.size(), tag, kTagSize);
    }
    return true;
  }

  bool open(unsigned, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
            const uint8_t* tag) noexcept override {
    if (!sensible(aad, in, out, size)) return false;
    gcm_context_data context;
    uint8_t computed[kTagSize];
    if constexpr (k256) {
      IMB_AES256_GCM_DEC(manager_, &key_, &context, out, in, size, nonce, aad.data(), aad.size(), computed, kTagSize);
    } else {
      IMB_AES128_GCM_DEC(manager_, &key_, &context, out, in, size, nonce, aad.data(), aad.size(), computed, kTagSize);
    }
    return same_tag(computed, tag);
  }

 private:
  alignas(64) gcm_key_data key_;
  IMB_MGR* const manager_;
};

class ChaChaAead final : public Aead {
 public:
  ChaChaAead(IMB_MGR* manager, const uint8_t* key) : manager_(manager) { memcpy(key_, key, sizeof key_); }
  ~ChaChaAead() override { OPENSSL_cleanse(key_, sizeof key_); }

  bool seal(unsigned, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
            uint8_t* tag) noexcept override {
    if (!sensible(aad, in, out, size)) return false;
    chacha20_poly1305_context_data context;
    IMB_CHACHA20_POLY1305_INIT(manager_, key_, &context, nonce, aad.data(), aad.size());
    IMB_CHACHA20_POLY1305_ENC_UPDATE(manager_, key_, &context, out, in, size);
    IMB_CHACHA20_POLY1305_ENC_FINALIZE(manager_, &context, tag, kTagSize);
    return true;
  }

  bool open(unsigned, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
            const uint8_t* tag) noexcept override {
    if (!sensible(aad, in, out, size)) return false;
    chacha20_poly1305_context_data context;
    uint8_t computed[kTagSize];
    IMB_CHACHA20_POLY1305_INIT(manager_, key_, &context, nonce, aad.data(), aad.size());
    IMB_CHACHA20_POLY1305_DEC_UPDATE(manager_, key_, &context, out, in, size);
    IMB_CHACHA20_POLY1305_DEC_FINALIZE(manager_, &context, computed, kTagSize);
    return same_tag(computed, tag);
  }

 private:
  alignas(64) uint8_t key_[kMaxKeySize];
  IMB_MGR* const manager_;
};

const char* vectors(IMB_ARCH arch) {
  if (arch == IMB_ARCH_AVX512) return "AVX512";
  return arch == IMB_ARCH_AVX2 ? "AVX2" : "AVX";
}

}  // namespace

std::string ipsec_mb_unusable() {
  constexpr uint64_t kNeeded = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_AVX;
  const Library& l = library();
  if (!l.manager) return "no memory for libipsec-mb";
  if ((l.manager->features & kNeeded) != kNeeded) return "libipsec-mb needs a processor with AES, PCLMULQDQ and AVX";
  const bool tests_itself = (l.manager->features & IMB_FEATURE_SELF_TEST) != 0;
  if (l.error != 0 || (tests_itself && (l.manager->features & IMB_FEATURE_SELF_TEST_PASS) == 0)) {
    return std::string("libipsec-mb does not start: ") + imb_get_strerror(l.error);
  }
  return {};
}

std::string ipsec_mb_name() { return std::string("libipsec-mb ") + imb_get_version_str() + " " + vectors(library().arch); }

std::unique_ptr<Aead> make_ipsec_mb_aead(Cipher cipher, const uint8_t* key, Aead::Direction, unsigned) {
  IMB_MGR* manager = library().manager;
  switch (cipher) {
    case Cipher::aes128_gcm: return std::make_unique<GcmAead<false>>(manager, key);
    case Cipher::aes256_gcm: return std::make_unique<GcmAead<true>>(manager, key);
    case Cipher::chacha20_poly1305: return std::make_unique<ChaChaAead>(manager, key);
  }
  return nullptr;
}

}  // namespace vpnd

#else

namespace vpnd {

std::string ipsec_mb_unusable() { return "vpnd was built without libipsec-mb"; }
std::string ipsec_mb_name() { return {}; }
std::unique_ptr<Aead> make_ipsec_mb_aead(Cipher, const uint8_t*, Aead::Direction, unsigned) { return nullptr; }

}  // namespace vpnd

#endif
