#include "transport.h"

namespace vpnd {

namespace {

constexpr unsigned kMaxExtensions = 16;
constexpr uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kOptions = 60;
constexpr uint8_t kSyn = 0x02, kAck = 0x10;
constexpr size_t kIcmpHeader = 8;

bool is_extension(uint8_t next) { return next == kHopByHop || next == kRouting || next == kOptions; }

// The part of the transport header that is wanted begins at out.at.
bool read_header(View packet, Transport& out, bool quoted) noexcept {
  const size_t left = packet.size() - out.at;
  const uint8_t* p = packet.data() + out.at;
  switch (out.protocol) {
    case kTcp:
      if (left < (quoted ? kUdpHeader : kTcpHeader)) return false;
      out.opens = !quoted && (p[13] & (kSyn | kAck)) == kSyn;
      break;
    case kUdp:
      if (left < kUdpHeader) return false;
      break;
    case kIcmp:
    case kIcmpV6:
      if (left < kIcmpHeader) return false;
      out.icmp_type = p[0];
      if (is_echo_request(out) || is_echo_reply(out)) out.from = out.to = load16(p + 4);
      return true;
    default: return true;
  }
  out.from = load16(p);
  out.to = load16(p + 2);
  return true;
}

// `offset`: bytes of the whole before this fragment.
bool is_sane_later(const Transport& out, size_t offset) { return out.protocol != kTcp || offset >= kTcpHeader; }

bool read_v4(View packet, Transport& out, bool quoted) noexcept {
  const uint8_t* p = packet.data();
  const uint32_t field = load16(p + 6);
  const size_t offset = size_t{field & 0x1fff} * 8;
  out.at = static_cast<size_t>(p[0] & 15) * 4;
  out.protocol = p[9];
  out.fragment_id = load16(p + 4);
  out.part = offset != 0 ? Transport::Part::later : (field & 0x2000) != 0 ? Transport::Part::first : Transport::Part::whole;
  if (out.part == Transport::Part::later) return is_sane_later(out, offset);
  return read_header(packet, out, quoted);
}

bool read_v6(View packet, Transport& out, bool quoted) noexcept {
  uint8_t next = packet[6];
  out.at = 40;
  for (unsigned i = 0; i < kMaxExtensions; i++) {
    if (!is_extension(next) && next != kFragment) {
      out.protocol = next;
      return read_header(packet, out, quoted);
    }
    if (packet.size() - out.at < 8) return false;
    const uint8_t* p = packet.data() + out.at;
    if (next == kFragment) {
      const uint32_t field = load16(p + 2);
      const size_t offset = field & 0xfff8;
      if (out.part != Transport::Part::whole) return false;  // a fragment of a fragment
      out.fragment_id = load32(p + 4);
      if (offset != 0) {
        out.part = Transport::Part::later;
        out.protocol = is_extension(p[0]) || p[0] == kFragment ? Transport::kUnknown : p[0];
        return is_sane_later(out, offset);
      }
      if (field & 1) out.part = Transport::Part::first;
      out.at += 8;
    } else {
      const size_t size = (static_cast<size_t>(p[1]) + 1) * 8;
      if (packet.size() - out.at < size) return false;
      out.at += size;
    }
    next = p[0];
  }
  return false;
}

}  // namespace

bool is_icmp_error(const Transport& t) noexcept {
  // Of IPv4 without redirects, which nobody may send here, and source quench, which nobody does.
  if (t.protocol == kIcmp) return t.icmp_type == 3 || t.icmp_type == 11 || t.icmp_type == 12;
  return t.protocol == kIcmpV6 && t.icmp_type >= 1 && t.icmp_type <= 4;
}

bool is_echo_request(const Transport& t) noexcept { return t.icmp_type == (t.protocol == kIcmp ? 8 : 128); }

bool is_echo_reply(const Transport& t) noexcept { return t.icmp_type == (t.protocol == kIcmp ? 0 : 129); }

bool read_transport(View packet, Transport& out) noexcept {
  return packet[0] >> 4 == 4 ? read_v4(packet, out, false) : read_v6(packet, out, false);
}

bool read_quoted(View quoted, IpHeader& ip, Transport& out) noexcept {
  if (quoted.empty()) return false;
  const uint8_t* p = quoted.data();
  if (p[0] >> 4 == 4) {
    const size_t header = static_cast<size_t>(p[0] & 15) * 4;
    if (header < 20 || quoted.size() < header) return false;
    ip = {Address::v4(p + 12), Address::v4(p + 16), 4, p[9]};
    return read_v4(quoted, out, true);
  }
  if (p[0] >> 4 != 6 || quoted.size() < 40) return false;
  ip = {Address::v6(p + 8), Address::v6(p + 24), 6, p[6]};
  return read_v6(quoted, out, true);
}

}  // namespace vpnd
