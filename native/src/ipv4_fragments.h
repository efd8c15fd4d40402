// hot: cuts an IPv4 packet that allows it into fragments (RFC 791 section 3.2). Checksums of what it carries are whole already.
#pragma once
#include "bytes.h"

namespace vpnd {

class Ipv4Fragments {
 public:
  // `packet` must be one that parse_ip() takes as IPv4, and outlives this.
  Ipv4Fragments(View packet, size_t mtu) noexcept;
  // False: it says "don't fragment", or the MTU has no room for its header and eight bytes.
  bool possible() const noexcept { return possible_; }
  // Writes the next fragment, at most `mtu` bytes, to `out`; 0 when there are no more.
  size_t next(uint8_t* out) noexcept;

 private:
  void make_later_header() noexcept;

  View packet_;
  size_t mtu_;
  size_t header_;
  size_t at_;             // payload taken so far
  bool possible_;
  bool done_ = false;
  uint8_t later_[60];     // the header of all but the first: only options that are to be copied
  size_t later_size_ = 20;
};

}  // namespace vpnd
