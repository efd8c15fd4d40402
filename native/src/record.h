// Data records (docs/wire.md): RFC 9146 layout, sealed and opened.
#pragma once
#include "session.h"

namespace vpnd {

inline constexpr size_t kRecordHeader = 17;
inline constexpr size_t kRecordTrailer = 1 + kTagSize;  // inner type and tag
inline constexpr size_t kRecordOverhead = kRecordHeader + kRecordTrailer;
inline constexpr uint8_t kRecordType = 25;

// Seals the `size` inner bytes into `record`, which has room for kRecordOverhead more. `inner` is record + kRecordHeader or
// lies elsewhere without overlap; the byte behind it must be writable, and is as before afterwards unless it is part of `record`.
// Returns the size of the record, 0 when it could not be sealed.
size_t seal_record(Session& session, unsigned lane, uint8_t* inner, size_t size, uint8_t* record) noexcept;

struct RecordHeader {
  uint32_t rx_index;
  uint64_t sequence;
};

// False: not one whole data record.
bool parse_record(View datagram, RecordHeader& out) noexcept;

// Opens the record in place; the inner plaintext is returned, empty when the tag or the inner type does not fit.
// Neither checks nor updates the replay window.
View open_record(const Session& session, unsigned lane, uint8_t* record, size_t size) noexcept;

}  // namespace vpnd
