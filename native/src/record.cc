#include "record.h"

namespace vpnd {

namespace {

constexpr uint8_t kInnerType = 23;
constexpr uint64_t kMaxSequence = (uint64_t{1} << 48) - 1;
constexpr size_t kAadSize = 27;

// RFC 9146 section 5.3; `header` is the record's own 17 bytes: type, version, epoch and sequence, receive index, length.
void make_aad(uint8_t* aad, const uint8_t* header, size_t inner_size) {
  static constexpr uint8_t kStart[11] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, kRecordType, 4, kRecordType};
  memcpy(aad, kStart, sizeof kStart);
  memcpy(aad + 11, header + 1, 14);  // from the version to the receive index
  store16(aad + 25, static_cast<uint32_t>(inner_size));
}

void make_nonce(uint8_t* nonce, const uint8_t* iv, const uint8_t* header) {
  uint64_t low, number;
  memcpy(&low, iv + 4, 8);
  memcpy(&number, header + 3, 8);
  low ^= number;
  memcpy(nonce, iv, 4);
  memcpy(nonce + 4, &low, 8);
}

}  // namespace

size_t seal_record(Session& session, unsigned lane, uint8_t* inner, size_t size, uint8_t* record) noexcept {
  const uint64_t sequence = session.state->tx_sequence.fetch_add(1, std::memory_order_relaxed);
  if (sequence > kMaxSequence) return 0;
  record[0] = kRecordType;
  store16(record + 1, 0xfefd);
  store64(record + 3, uint64_t{1} << 48 | sequence);
  store32(record + 11, session.tx_index);
  store16(record + 15, static_cast<uint32_t>(size + kRecordTrailer));
  uint8_t* out = record + kRecordHeader;
  const uint8_t behind = inner[size];
  inner[size] = kInnerType;
  uint8_t aad[kAadSize];
  uint8_t nonce[kNonceSize];
  make_aad(aad, record, size + 1);
  make_nonce(nonce, session.state->tx_iv, record);
  const bool sealed = session.sealer->seal(lane, nonce, {aad, kAadSize}, inner, out, size + 1, out + size + 1);
  if (inner != out) inner[size] = behind;
  return sealed ? size + kRecordOverhead : 0;
}

bool parse_record(View datagram, RecordHeader& out) noexcept {
  const uint8_t* p = datagram.data();
  if (datagram.size() <= kRecordOverhead || p[0] != kRecordType || load16(p + 1) != 0xfefd || load16(p + 3) != 1 ||
      load16(p + 15) != datagram.size() - kRecordHeader) {
    return false;
  }
  out.sequence = load48(p + 5);
  out.rx_index = load32(p + 11);
  return true;
}

View open_record(const Session& session, unsigned lane, uint8_t* record, size_t size) noexcept {
  uint8_t* inner = record + kRecordHeader;
  const size_t inner_size = size - kRecordHeader - kTagSize;
  uint8_t aad[kAadSize];
  uint8_t nonce[kNonceSize];
  make_aad(aad, record, inner_size);
  make_nonce(nonce, session.state->rx_iv, record);
  if (!session.opener->open(lane, nonce, {aad, kAadSize}, inner, inner, inner_size, inner + inner_size)) return {};
  if (inner[inner_size - 1] != kInnerType) return {};
  return {inner, inner_size - 1};
}

}  // namespace vpnd
