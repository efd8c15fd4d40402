#include "mss_clamp.h"

#include <algorithm>

#include "check.h"
#include "icmp.h"

using namespace vpnd;

namespace {

constexpr size_t kV4 = 20, kV6 = 40;

// TCP with these options, checksum and all; `chain`: IPv6 extension headers, the last of which says 6.
Bytes segment(int version, uint8_t flags, Bytes options, Bytes chain = {}, uint8_t first = 0, size_t payload = 5) {
  while (options.size() % 4 != 0) options.push_back(1);
  Bytes tcp(20);
  store16(&tcp[0], 12345);
  store16(&tcp[2], 80);
  tcp[12] = static_cast<uint8_t>((20 + options.size()) / 4 << 4);
  tcp[13] = flags;
  tcp.insert(tcp.end(), options.begin(), options.end());
  for (size_t i = 0; i < payload; i++) tcp.push_back(static_cast<uint8_t>(i * 7));
  Bytes p(version == 4 ? kV4 : kV6);
  const size_t size = p.size() + chain.size() + tcp.size();
  if (version == 4) {
    p[0] = 0x45;
    p[9] = 6;
    store16(&p[2], static_cast<uint32_t>(size));
    store32(&p[12], 0x0a000001);
    store32(&p[16], 0x0a000002);
  } else {
    p[0] = 0x60;
    p[6] = chain.empty() ? 6 : first;
    store16(&p[4], static_cast<uint32_t>(size - kV6));
    p[8] = p[24] = 0xfd;
    p[39] = 9;
  }
  p.insert(p.end(), chain.begin(), chain.end());
  p.insert(p.end(), tcp.begin(), tcp.end());
  return p;
}

uint32_t pseudo_sum(const Bytes& p, size_t tcp_size) {
  const View addresses = p[0] >> 4 == 4 ? View(p).subspan(12, 8) : View(p).subspan(8, 32);
  return static_cast<uint16_t>(~checksum(addresses, 6 + static_cast<uint32_t>(tcp_size)));
}
void seal(Bytes& p, size_t at) {
  store16(&p[at + 16], 0);
  store16(&p[at + 16], checksum(View(p).subspan(at), pseudo_sum(p, p.size() - at)));
}
bool right(const Bytes& p, size_t at) { return checksum(View(p).subspan(at), pseudo_sum(p, p.size() - at)) == 0; }
bool clamp(Bytes& p, size_t mtu, ChecksumField field = ChecksumField::whole) { return clamp_mss(p.data(), p.size(), mtu, field); }

}  // namespace

TEST(mss_lowered, "MSS: lowered to what fits, with a right checksum, at even and odd places") {
  for (const int version : {4, 6}) {
    const size_t at = version == 4 ? kV4 : kV6;
    for (const uint8_t flags : Bytes{2, 0x12, 0xc2}) {
      for (size_t nops = 0; nops < 4; nops++) {
        for (int i = 0; i < 200; i++) {
          const size_t mtu = 600 + test::random()() % 800;
          const auto announced = static_cast<uint16_t>(test::random()());
          Bytes options(nops, 1);
          options.insert(options.end(), {2, 4, static_cast<uint8_t>(announced >> 8), static_cast<uint8_t>(announced), 4, 2});
          Bytes p = segment(version, flags, options);
          seal(p, at);
          const size_t most = mtu - at - 20;
          CHECK(clamp(p, mtu) == (announced > most));
          CHECK(load16(&p[at + 20 + nops + 2]) == std::min<size_t>(announced, most));
          CHECK(right(p, at));
          CHECK(!clamp(p, mtu));
        }
      }
    }
  }
}

TEST(mss_partial, "MSS: a sum of the pseudo-header only stays as it is") {
  Bytes p = segment(4, 2, {2, 4, 5, 180});
  store16(&p[kV4 + 16], pseudo_sum(p, p.size() - kV4));
  const uint16_t before = load16(&p[kV4 + 16]);
  CHECK(clamp(p, 1218, ChecksumField::pseudo));
  CHECK(load16(&p[kV4 + 16]) == before && load16(&p[kV4 + 22]) == 1178);
  // What the device does then.
  const uint16_t whole = checksum(View(p).subspan(kV4));
  store16(&p[kV4 + 16], whole);
  CHECK(right(p, kV4));
}

TEST(mss_chain, "MSS: found behind extension headers, not in later fragments or behind what can't be walked") {
  const Bytes mss = {2, 4, 5, 180};
  const Bytes options = {60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
  Bytes p = segment(6, 2, mss, options, 0);
  seal(p, kV6 + options.size());
  CHECK(clamp(p, 1300) && right(p, kV6 + options.size()));
  const auto behind = [&](uint8_t first, Bytes chain) {
    Bytes q = segment(6, 2, mss, std::move(chain), first);
    return clamp(q, 1300);
  };
  CHECK(behind(44, {6, 0, 0, 1, 0, 0, 0, 0}));
  CHECK(!behind(44, {6, 0, 0, 8, 0, 0, 0, 0}));
  CHECK(!behind(51, {6, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(!behind(50, {6, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(!behind(0, {6, 255, 0, 0, 0, 0, 0, 0}));
  Bytes later = segment(4, 2, mss);
  store16(&later[6], 1);
  CHECK(!clamp(later, 1300));
  store16(&later[6], 0x2000);
  CHECK(clamp(later, 1300));
}

TEST(mss_alone, "MSS: other packets and malformed options are left alone") {
  const auto untouched = [](Bytes p, size_t mtu = 1300) {
    const Bytes before = p;
    return !clamp(p, mtu) && p == before;
  };
  CHECK(untouched(segment(4, 0x10, {2, 4, 5, 180})));
  CHECK(untouched(segment(4, 2, {})));
  CHECK(untouched(segment(4, 2, {2, 3, 5, 180})));
  CHECK(untouched(segment(4, 2, {2, 5, 5, 180})));
  CHECK(untouched(segment(4, 2, {0, 2, 4, 5, 180})));
  CHECK(untouched(segment(4, 2, {1, 1, 1, 2})));
  CHECK(untouched(segment(4, 2, {8, 0, 2, 4})));
  CHECK(untouched(segment(4, 2, {8, 99, 2, 4, 5, 180, 0, 0})));
  CHECK(untouched(segment(4, 2, {2, 4, 5, 180}), 40));
  CHECK(untouched(segment(4, 2, {2, 4, 5, 180}), 0));
  Bytes udp = segment(4, 2, {2, 4, 5, 180});
  udp[9] = 17;
  CHECK(untouched(udp));
  const Bytes whole = segment(4, 2, {2, 4, 5, 180}, {}, 0, 0);
  for (size_t size = 0; size < whole.size(); size++) CHECK(untouched(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))));
}
