#include "ip_packet.h"

#include "check.h"

using namespace vpnd;

namespace {

Bytes v4(size_t size) {
  Bytes p(size);
  p[0] = 0x45;
  store16(&p[2], static_cast<uint32_t>(size));
  return p;
}
Bytes v6(size_t size) {
  Bytes p(size);
  p[0] = 0x60;
  store16(&p[4], static_cast<uint32_t>(size - 40));
  return p;
}

}  // namespace

TEST(ip_truncation, "IP packets: only the whole one parses") {
  for (const Bytes& whole : {v4(20), v4(60), v6(40), v6(100)}) {
    IpHeader header;
    CHECK(parse_ip(whole, header));
    for (size_t size = 0; size < whole.size(); size++) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      CHECK(!parse_ip(cut, header));
    }
    Bytes longer = whole;
    longer.push_back(0);
    CHECK(!parse_ip(longer, header));
  }
}

TEST(ip_first_byte, "IP packets: version and header length must fit") {
  for (unsigned first = 0; first < 256; first++) {
    Bytes p = v4(40);
    p[0] = static_cast<uint8_t>(first);
    IpHeader header;
    const bool fits = first >> 4 == 4 && (first & 15) >= 5 && (first & 15) <= 10;
    // 40 bytes of v4() are also an IPv6 header whose length field is 0.
    CHECK(parse_ip(p, header) == (fits || first >> 4 == 6));
  }
}
