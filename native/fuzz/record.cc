// Data records: what is sealed opens to the same, and altered in any byte it does not open; sealed in place and from elsewhere, by
// OpenSSL and by libipsec-mb, with every cipher, it is the same.
#include "record.h"

#include <algorithm>

#include "input.h"
#include "world.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

// Two sessions with the same keys and different implementations.
struct Pair {
  explicit Pair(Cipher cipher) {
    EXPECT(choose_crypto(Crypto::openssl).empty());
    fill(plain, states[0], cipher);
    EXPECT(choose_crypto(Crypto::automatic).empty());
    fill(fast, states[1], cipher);
  }
  static void fill(Session& session, SessionState& state, Cipher cipher) {
    for (size_t i = 0; i < kMaxKeySize; i++) state.tx_key[i] = state.rx_key[i] = static_cast<uint8_t>(3 * i);
    session.state = &state;
    session.cipher = cipher;
    EXPECT(session.make_ciphers(2));
  }
  SessionState states[2] = {};
  Session plain, fast;
};

void check_implementations(const Bytes& inner, Cipher cipher) {
  static Pair aes128(Cipher::aes128_gcm), aes256(Cipher::aes256_gcm), chacha(Cipher::chacha20_poly1305);
  Pair& pair = cipher == Cipher::aes128_gcm ? aes128 : cipher == Cipher::aes256_gcm ? aes256 : chacha;
  Bytes in_place(inner.size() + kRecordOverhead), elsewhere(in_place.size()), source = inner;
  source.push_back(0x99);
  std::copy(inner.begin(), inner.end(), in_place.begin() + kRecordHeader);
  EXPECT(seal_record(pair.plain, kControlLane, in_place.data() + kRecordHeader, inner.size(), in_place.data()) == in_place.size());
  EXPECT(seal_record(pair.fast, 1, source.data(), inner.size(), elsewhere.data()) == elsewhere.size());
  EXPECT(in_place == elsewhere && source.back() == 0x99);
  const View opened = open_record(pair.fast, 1, in_place.data(), in_place.size());
  EXPECT(std::equal(opened.begin(), opened.end(), inner.begin(), inner.end()));
  elsewhere[kRecordHeader + inner[0] % (elsewhere.size() - kRecordHeader)] ^= 1;
  EXPECT(open_record(pair.fast, 1, elsewhere.data(), elsewhere.size()).data() == nullptr);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  static const bool once = (world.fresh(), true);
  (void)once;
  Input in(data, size);
  const uint16_t at = in.u16();
  const uint8_t change = in.u8();
  const size_t cut = in.u8();
  const Bytes inner = copy(in.rest());
  if (inner.size() > 60000) return 0;

  RecordHeader header;
  const bool parsed = parse_record(inner, header);
  EXPECT(!parsed || inner.size() > kRecordOverhead);
  if (parsed) {
    Bytes raw = inner;
    open_record(*world.session, 1, raw.data(), raw.size());
  }

  const Bytes sealed = world.seal_as_peer(inner);
  EXPECT(parse_record(sealed, header) == !inner.empty());
  if (inner.empty()) return 0;
  check_implementations(inner, static_cast<Cipher>(1 + cut % 3));
  EXPECT(header.rx_index == World::kIndex);
  EXPECT(!parse_record(View(sealed).first(sealed.size() - std::min(sealed.size(), cut + 1)), header));
  Bytes same = sealed;
  const View plain = open_record(*world.session, 1, same.data(), same.size());
  EXPECT(plain.size() == inner.size() && std::equal(plain.begin(), plain.end(), inner.begin()));
  if (change == 0) return 0;
  Bytes altered = sealed;
  altered[at % altered.size()] ^= change;
  const bool opened = parse_record(altered, header) && header.rx_index == World::kIndex &&
                      open_record(*world.session, 1, altered.data(), altered.size()).data() != nullptr;
  EXPECT(!opened);
  return 0;
}
