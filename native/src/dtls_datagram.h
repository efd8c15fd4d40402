// What can be seen of a DTLS datagram without keys (RFC 6347 section 4.1).
#pragma once
#include "bytes.h"

namespace vpnd {

inline constexpr uint8_t kAlert = 21;
inline constexpr uint8_t kHandshake = 22;
inline constexpr size_t kDtlsHeader = 13;

// What the first record of a datagram is. False: not a DTLS 1.2 record.
struct FirstRecord {
  uint8_t type;
  uint16_t epoch;
};
inline bool first_record(View datagram, FirstRecord& out) {
  if (datagram.size() < kDtlsHeader || datagram[1] != 0xfe || datagram.size() - kDtlsHeader < load16(&datagram[11])) return false;
  out = {datagram[0], load16(&datagram[3])};
  return true;
}

// Whether a plain handshake message is one that only DTLS clients send: ClientHello, ClientKeyExchange.
inline bool from_client(View datagram) {
  return datagram.size() > kDtlsHeader && (datagram[kDtlsHeader] == 1 || datagram[kDtlsHeader] == 16);
}

// True when any record of the datagram is a protected handshake message, that is, a Finished.
inline bool holds_finished(View datagram) {
  while (datagram.size() >= kDtlsHeader) {
    if (datagram[0] == kHandshake && load16(&datagram[3]) > 0) return true;
    const size_t size = kDtlsHeader + load16(&datagram[11]);
    if (size > datagram.size()) return false;
    datagram = datagram.subspan(size);
  }
  return false;
}

}  // namespace vpnd
