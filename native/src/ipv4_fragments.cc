#include "ipv4_fragments.h"

#include "icmp.h"

namespace vpnd {

namespace {
constexpr size_t kHeader = 20;
constexpr uint32_t kDontFragment = 0x4000;
constexpr uint32_t kMoreFragments = 0x2000;
constexpr uint32_t kOffset = 0x1fff;
constexpr uint8_t kCopied = 0x80;
}  // namespace

Ipv4Fragments::Ipv4Fragments(View packet, size_t mtu) noexcept
    : packet_(packet), mtu_(mtu), header_(static_cast<size_t>(packet[0] & 15) * 4), at_(0),
      possible_((load16(packet.data() + 6) & kDontFragment) == 0 && mtu >= header_ + 8) {
  if (possible_) make_later_header();
}

void Ipv4Fragments::make_later_header() noexcept {
  const uint8_t* p = packet_.data();
  memset(later_, 0, sizeof later_);
  memcpy(later_, p, kHeader);
  size_t i = kHeader;
  while (i < header_ && p[i] != 0) {
    if (p[i] == 1) {
      i++;
      continue;
    }
    // An option that lies about its length: the rest can't be told apart, and is left out.
    if (i + 2 > header_ || p[i + 1] < 2 || i + p[i + 1] > header_) break;
    if (p[i] & kCopied) {
      memcpy(later_ + later_size_, p + i, p[i + 1]);
      later_size_ += p[i + 1];
    }
    i += p[i + 1];
  }
  later_size_ = (later_size_ + 3) / 4 * 4;
  later_[0] = static_cast<uint8_t>(0x40 | later_size_ / 4);
}

size_t Ipv4Fragments::next(uint8_t* out) noexcept {
  const size_t payload = packet_.size() - header_;
  if (!possible_ || done_) return 0;
  const bool first = at_ == 0;
  const size_t header = first ? header_ : later_size_;
  const size_t left = payload - at_;
  const bool last = left <= mtu_ - header;
  const size_t part = last ? left : (mtu_ - header) / 8 * 8;
  memcpy(out, first ? packet_.data() : later_, header);
  memcpy(out + header, packet_.data() + header_ + at_, part);
  // It may be a fragment itself: then its last piece is not the last one of the whole.
  const uint32_t field = load16(packet_.data() + 6);
  const uint32_t more = last ? field & kMoreFragments : kMoreFragments;
  store16(out + 2, static_cast<uint32_t>(header + part));
  store16(out + 6, (field & 0x8000) | more | (((field & kOffset) + at_ / 8) & kOffset));
  store16(out + 10, 0);
  store16(out + 10, checksum({out, header}));
  at_ += part;
  done_ = last;
  return header + part;
}

}  // namespace vpnd
