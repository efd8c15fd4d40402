// Data records (docs/wire.md): RFC 9146 layout, sealed and opened in place.
#pragma once
#include "session.h"

namespace vpnd {

inline constexpr size_t kRecordHeader = 17;
inline constexpr size_t kRecordTrailer = 1 + kTagSize;  // inner type and tag
inline constexpr size_t kRecordOverhead = kRecordHeader + kRecordTrailer;
inline constexpr uint8_t kRecordType = 25;

// Seals the `size` inner bytes at record + kRecordHeader; the buffer must have kRecordTrailer bytes behind them.
// Returns the size of the record, 0 when it could not be sealed.
size_t seal_record(Session& session, Worker worker, uint8_t* record, size_t size) noexcept;

struct RecordHeader {
  uint32_t rx_index;
  uint64_t sequence;
};

// False: not one whole data record.
bool parse_record(View datagram, RecordHeader& out) noexcept;

// Opens the record in place; the inner plaintext is returned, empty when the tag or the inner type does not fit.
// Neither checks nor updates the replay window.
View open_record(const Session& session, uint8_t* record, size_t size) noexcept;

}  // namespace vpnd
