#include "record.h"

#include <algorithm>

#include "check.h"
#include "peer.h"

using namespace vpnd;

namespace {

constexpr unsigned kLanes = 3;

// Two sessions that speak to each other, without a store.
struct Ends {
  explicit Ends(Cipher cipher) {
    for (size_t i = 0; i < kMaxKeySize; i++) {
      near_state.tx_key[i] = far_state.rx_key[i] = static_cast<uint8_t>(i);
      near_state.rx_key[i] = far_state.tx_key[i] = static_cast<uint8_t>(100 + i);
    }
    for (size_t i = 0; i < kNonceSize; i++) {
      near_state.tx_iv[i] = far_state.rx_iv[i] = static_cast<uint8_t>(7 * i);
      near_state.rx_iv[i] = far_state.tx_iv[i] = static_cast<uint8_t>(9 * i);
    }
    fill(near, near_state, cipher, 0x11223344, 0x55667788);
    fill(far, far_state, cipher, 0x55667788, 0x11223344);
  }
  static void fill(Session& s, SessionState& state, Cipher cipher, uint32_t rx_index, uint32_t tx_index) {
    s.state = &state;
    s.rx_index = rx_index;
    s.tx_index = tx_index;
    s.cipher = cipher;
    CHECK(s.make_ciphers(kLanes));
  }
  // A sealed record with `inner` in it.
  Bytes seal(const Bytes& inner, unsigned lane = 1) {
    Bytes record(kRecordOverhead + inner.size());
    std::copy(inner.begin(), inner.end(), record.begin() + kRecordHeader);
    CHECK(seal_record(near, lane, record.data() + kRecordHeader, inner.size(), record.data()) == record.size());
    return record;
  }
  SessionState near_state{}, far_state{};
  Session near, far;
};

Bytes pattern(size_t size) {
  Bytes out(size);
  for (size_t i = 0; i < size; i++) out[i] = static_cast<uint8_t>(0x45 + i * 3);
  return out;
}

}  // namespace

TEST(record_round_trip, "records: open to what was sealed, with every cipher and size") {
  for (const Cipher cipher : cipher_preference()) {
    Ends ends(cipher);
    uint64_t sequence = 0;
    for (const size_t size : {1, 2, 15, 16, 17, 100, 1400, 9000}) {
      const Bytes inner = pattern(size);
      Bytes record = ends.seal(inner, static_cast<unsigned>(size % kLanes));
      RecordHeader header;
      CHECK(parse_record(record, header));
      CHECK(header.rx_index == 0x55667788 && header.sequence == sequence++);
      const View opened = open_record(ends.far, 1, record.data(), record.size());
      CHECK(std::equal(opened.begin(), opened.end(), inner.begin(), inner.end()));
    }
  }
}

TEST(record_elsewhere, "records: sealed from elsewhere is as sealed in place, and what is around stays") {
  for (const Cipher cipher : cipher_preference()) {
    for (const size_t size : {1, 16, 64, 1400, 65000}) {
      Ends in_place(cipher), elsewhere(cipher);
      const Bytes inner = pattern(size);
      const Bytes expected = in_place.seal(inner);
      Bytes source = inner;
      source.push_back(0x77);
      const Bytes before = source;
      Bytes record(expected.size() + 8, 0xa5);
      CHECK(seal_record(elsewhere.near, 1, source.data(), size, record.data()) == expected.size());
      CHECK(std::equal(expected.begin(), expected.end(), record.begin()));
      CHECK(source == before);
      CHECK(std::all_of(record.end() - 8, record.end(), [](uint8_t byte) { return byte == 0xa5; }));
    }
  }
}

TEST(record_implementations, "records: what one implementation seals, the other opens") {
  for (const Cipher cipher : cipher_preference()) {
    CHECK(choose_crypto(Crypto::openssl).empty());
    Ends plain(cipher);
    CHECK(choose_crypto(Crypto::automatic).empty());
    Ends fast(cipher);
    for (const size_t size : {1, 40, 1400}) {
      const Bytes inner = pattern(size);
      Bytes a = plain.seal(inner), b = fast.seal(inner);
      CHECK(a == b);
      CHECK(open_record(fast.far, 1, a.data(), a.size()).size() == size);
      CHECK(open_record(plain.far, 1, b.data(), b.size()).size() == size);
    }
  }
}

TEST(record_tamper, "records: one altered bit anywhere keeps them shut") {
  for (const Cipher cipher : cipher_preference()) {
    Ends ends(cipher);
    const Bytes record = ends.seal(pattern(40));
    for (size_t bit = 0; bit < record.size() * 8; bit++) {
      Bytes altered = record;
      altered[bit / 8] = static_cast<uint8_t>(altered[bit / 8] ^ (1 << (bit % 8)));
      RecordHeader header;
      // What is not a record is stopped before; the rest by the tag, the header included.
      if (parse_record(altered, header)) CHECK(open_record(ends.far, 1, altered.data(), altered.size()).data() == nullptr);
    }
    Bytes reflected = record;
    CHECK(open_record(ends.near, 1, reflected.data(), reflected.size()).data() == nullptr);
  }
}

TEST(record_truncation, "records: no truncation and no extension parses") {
  Ends ends(Cipher::aes128_gcm);
  Bytes record = ends.seal(pattern(60));
  RecordHeader header;
  for (size_t size = 0; size < record.size(); size++) {
    const Bytes cut(record.begin(), record.begin() + static_cast<ptrdiff_t>(size));  // so that a read beyond is seen
    CHECK(!parse_record(cut, header));
  }
  record.push_back(0);
  CHECK(!parse_record(record, header));
}

TEST(record_sequence, "records: no sequence number is used beyond the last, nor twice") {
  Ends ends(Cipher::aes128_gcm);
  ends.near_state.tx_sequence = (uint64_t{1} << 48) - 1;
  Bytes record(kRecordOverhead + 20);
  CHECK(seal_record(ends.near, 1, record.data() + kRecordHeader, 20, record.data()) != 0);
  CHECK(seal_record(ends.near, 1, record.data() + kRecordHeader, 20, record.data()) == 0);
  CHECK(seal_record(ends.near, kControlLane, record.data() + kRecordHeader, 20, record.data()) == 0);
}

TEST(session_store, "session store: indices find their session, and no other") {
  SessionStore store;
  CHECK(store.valid());
  SessionState* state = store.take();
  CHECK(state && state->rx_index >> SessionStore::kSlotBits != 0);
  Session session;
  session.state = state;
  session.rx_index = state->rx_index;
  CHECK(!store.find(session.rx_index));
  store.publish(&session);
  CHECK(store.find(session.rx_index) == &session);
  CHECK(!store.find(session.rx_index ^ 1u << 31));
  CHECK(!store.find(0));
  store.unpublish(session.rx_index);
  CHECK(!store.find(session.rx_index));
  const uint32_t before = session.rx_index;
  store.give_back(state);
  SessionState* again = store.take();
  CHECK(again == state && again->rx_index != before && again->tx_sequence == 0 && again->replay.next == 0);
}
