#include "aead.h"

#include <algorithm>
#include <string_view>
#include <thread>

#include "aead_evp.h"
#include "aead_ipsec_mb.h"
#include "aead_self_test.h"
#include "check.h"

using namespace vpnd;

namespace {

using Direction = Aead::Direction;

constexpr Cipher kCiphers[] = {Cipher::aes128_gcm, Cipher::aes256_gcm, Cipher::chacha20_poly1305};

// OpenSSL, and libipsec-mb where it can serve.
std::vector<MakeAead> implementations() {
  std::vector<MakeAead> out{make_evp_aead};
  if (ipsec_mb_unusable().empty()) out.push_back(make_ipsec_mb_aead);
  return out;
}

Bytes hex(std::string_view text) {
  Bytes out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<uint8_t>(std::stoul(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

Bytes pattern(size_t size, uint8_t first) {
  Bytes out(size);
  for (size_t i = 0; i < size; i++) out[i] = static_cast<uint8_t>(first + i * 5);
  return out;
}

void check_known(Cipher cipher, const Bytes& key, const Bytes& nonce, const Bytes& aad, const Bytes& plain, const Bytes& sealed,
                 const Bytes& tag) {
  // Some implementations want an address even for no text.
  static const uint8_t nothing = 0;
  const View aad_view = aad.empty() ? View(&nothing, 0) : View(aad);
  for (const MakeAead make : implementations()) {
    const auto sealer = make(cipher, key.data(), Direction::seal, 1);
    const auto opener = make(cipher, key.data(), Direction::open, 1);
    CHECK(sealer && opener);
    Bytes out(plain.size() + 1), got(kTagSize);
    CHECK(sealer->seal(0, nonce.data(), aad_view, plain.empty() ? &nothing : plain.data(), out.data(), plain.size(), got.data()));
    CHECK(std::equal(sealed.begin(), sealed.end(), out.begin()) && got == tag);
    CHECK(opener->open(0, nonce.data(), aad_view, out.data(), out.data(), plain.size(), tag.data()));
    CHECK(std::equal(plain.begin(), plain.end(), out.begin()));
  }
}

}  // namespace

// "The Galois/Counter Mode of Operation" (McGrew, Viega), appendix B.
TEST(aead_gcm_vectors, "aead: the test cases of the GCM specification") {
  const Bytes none;
  const Bytes zeros(32, 0);
  check_known(Cipher::aes128_gcm, zeros, Bytes(12, 0), none, none, none, hex("58e2fccefa7e3061367f1d57a4e7455a"));
  check_known(Cipher::aes128_gcm, zeros, Bytes(12, 0), none, Bytes(16, 0), hex("0388dace60b6a392f328c2b971b2fe78"),
              hex("ab6e47d42cec13bdf53a67b21257bddf"));
  check_known(Cipher::aes256_gcm, zeros, Bytes(12, 0), none, none, none, hex("530f8afbc74536b9a963b4f1c4cb738b"));

  const Bytes nonce = hex("cafebabefacedbaddecaf888");
  const Bytes aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const Bytes plain = hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  check_known(Cipher::aes128_gcm, hex("feffe9928665731c6d6a8f9467308308"), nonce, aad, plain,
              hex("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"),
              hex("5bc94fbc3221a5db94fae95ae7121a47"));
  check_known(Cipher::aes256_gcm, hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"), nonce, aad, plain,
              hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"),
              hex("76fc6ece0f4e1768cddf8853bb2d551b"));
}

TEST(aead_rfc8439_vector, "aead: the test vector of RFC 8439 section 2.8.2") {
  const std::string_view text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
  check_known(Cipher::chacha20_poly1305, hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
              hex("070000004041424344454647"), hex("50515253c0c1c2c3c4c5c6c7"), Bytes(text.begin(), text.end()),
              hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
                  "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                  "3ff4def08e4b7a9de576d26586cec64b6116"),
              hex("1ae10b594f09e26a7e902ecbd0600691"));
}

TEST(aead_self_test, "aead: both implementations agree, and the self-test finds one that does not") {
  CHECK(agrees_with_openssl(make_evp_aead));
  if (ipsec_mb_unusable().empty()) CHECK(agrees_with_openssl(make_ipsec_mb_aead));
  // Another cipher than asked for.
  CHECK(!agrees_with_openssl([](Cipher cipher, const uint8_t* key, Direction direction, unsigned lanes) {
    const Cipher wrong = cipher == Cipher::aes256_gcm ? Cipher::chacha20_poly1305 : cipher;
    return make_evp_aead(wrong, key, direction, lanes);
  }));
  // Opens whatever comes.
  class Careless final : public Aead {
   public:
    Careless(Cipher cipher, const uint8_t* key, Direction direction)
        : inner_(make_evp_aead(cipher, key, direction, 1)) {}
    bool seal(unsigned lane, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
              uint8_t* tag) noexcept override {
      return inner_->seal(lane, nonce, aad, in, out, size, tag);
    }
    bool open(unsigned lane, const uint8_t* nonce, View aad, const uint8_t* in, uint8_t* out, size_t size,
              const uint8_t* tag) noexcept override {
      (void)inner_->open(lane, nonce, aad, in, out, size, tag);
      return true;
    }

   private:
    std::unique_ptr<Aead> inner_;
  };
  CHECK(!agrees_with_openssl([](Cipher cipher, const uint8_t* key, Direction direction, unsigned) -> std::unique_ptr<Aead> {
    return std::make_unique<Careless>(cipher, key, direction);
  }));
  CHECK(!agrees_with_openssl([](Cipher, const uint8_t*, Direction, unsigned) { return std::unique_ptr<Aead>(); }));
}

TEST(aead_wrong_tag, "aead: one wrong bit of tag, nonce, header or text is refused") {
  for (const MakeAead make : implementations()) {
    for (const Cipher cipher : kCiphers) {
      const Bytes key = pattern(kMaxKeySize, 3);
      const auto sealer = make(cipher, key.data(), Direction::seal, 1);
      const auto opener = make(cipher, key.data(), Direction::open, 1);
      Bytes tag = pattern(kTagSize, 0), nonce = pattern(kNonceSize, 9), aad = pattern(27, 11), text = pattern(45, 13);
      CHECK(sealer->seal(0, nonce.data(), aad, text.data(), text.data(), text.size(), tag.data()));
      Bytes out(text.size());
      auto opens = [&] { return opener->open(0, nonce.data(), aad, text.data(), out.data(), text.size(), tag.data()); };
      CHECK(opens());
      for (Bytes* part : {&tag, &nonce, &aad, &text}) {
        for (size_t bit = 0; bit < part->size() * 8; bit++) {
          uint8_t& byte = (*part)[bit / 8];
          byte = static_cast<uint8_t>(byte ^ 1u << bit % 8);
          CHECK(!opens());
          byte = static_cast<uint8_t>(byte ^ 1u << bit % 8);
        }
      }
    }
  }
}

TEST(aead_bounds, "aead: nothing behind the text is written, at no size and no alignment") {
  for (const MakeAead make : implementations()) {
    for (const Cipher cipher : kCiphers) {
      const Bytes key = pattern(kMaxKeySize, 3), nonce = pattern(kNonceSize, 9), aad = pattern(27, 11);
      const auto sealer = make(cipher, key.data(), Direction::seal, 1);
      const auto opener = make(cipher, key.data(), Direction::open, 1);
      for (size_t size = 1; size <= 300; size += size < 70 ? 1 : 23) {
        const size_t shift = size % 7;
        const Bytes text = pattern(size, 1);
        Bytes out(shift + size + 64, 0xa5);
        uint8_t tag[kTagSize];
        CHECK(sealer->seal(0, nonce.data(), aad, text.data(), out.data() + shift, size, tag));
        CHECK(opener->open(0, nonce.data(), aad, out.data() + shift, out.data() + shift, size, tag));
        CHECK(std::equal(text.begin(), text.end(), out.begin() + static_cast<ptrdiff_t>(shift)));
        for (size_t i = 0; i < out.size(); i++) CHECK((i >= shift && i < shift + size) || out[i] == 0xa5);
      }
    }
  }
}

TEST(aead_lanes, "aead: threads work with one key at the same time, each in its lane") {
  constexpr unsigned kThreads = 3;
  for (const MakeAead make : implementations()) {
    for (const Cipher cipher : kCiphers) {
      const Bytes key = pattern(kMaxKeySize, 3), aad = pattern(27, 11);
      const auto sealer = make(cipher, key.data(), Direction::seal, kThreads);
      const auto opener = make(cipher, key.data(), Direction::open, kThreads);
      bool good[kThreads] = {};
      std::vector<std::thread> threads;
      for (unsigned lane = 0; lane < kThreads; lane++) {
        threads.emplace_back([&, lane] {
          const Bytes text = pattern(700 + lane, static_cast<uint8_t>(lane));
          Bytes out(text.size()), nonce(kNonceSize), tag(kTagSize);
          bool all = true;
          for (uint32_t i = 0; i < 500; i++) {
            store32(nonce.data(), i);
            nonce[11] = static_cast<uint8_t>(lane);
            all = all && sealer->seal(lane, nonce.data(), aad, text.data(), out.data(), out.size(), tag.data()) && out != text &&
                  opener->open(lane, nonce.data(), aad, out.data(), out.data(), out.size(), tag.data()) && out == text;
          }
          good[lane] = all;
        });
      }
      for (std::thread& thread : threads) thread.join();
      for (const bool each : good) CHECK(each);
    }
  }
}

TEST(aead_choice, "aead: who protects records is chosen, and said") {
  CHECK(choose_crypto(Crypto::openssl).empty());
  CHECK(aead_implementation() == evp_name());
  const std::string why_not = choose_crypto(Crypto::ipsec_mb);
  CHECK(why_not == ipsec_mb_unusable());
  CHECK(aead_implementation() == (why_not.empty() ? ipsec_mb_name() : evp_name()));
  CHECK(choose_crypto(Crypto::automatic).empty());
  CHECK(aead_implementation() == (why_not.empty() ? ipsec_mb_name() : evp_name()));
  const Bytes key(kMaxKeySize);
  CHECK(!Aead::make(Cipher::aes128_gcm, key.data(), Direction::seal, 0));
  CHECK(!Aead::make(Cipher::aes128_gcm, key.data(), Direction::seal, kMaxLanes + 1));
}
