#include "ipv4_fragments.h"

#include <algorithm>

#include "check.h"
#include "icmp.h"

using namespace vpnd;

namespace {

// `options` is a multiple of four long.
Bytes packet(Bytes options, size_t payload, uint16_t field = 0) {
  Bytes p(20 + options.size());
  p[0] = static_cast<uint8_t>(0x45 + options.size() / 4);
  p[1] = 0x28;
  store16(&p[4], 0xbeef);
  store16(&p[6], field);
  p[8] = 61;
  p[9] = 17;
  store32(&p[12], 0x0a000001);
  store32(&p[16], 0x0a000002);
  std::copy(options.begin(), options.end(), p.begin() + 20);
  for (size_t i = 0; i < payload; i++) p.push_back(static_cast<uint8_t>(test::random()()));
  store16(&p[2], static_cast<uint32_t>(p.size()));
  return p;
}

std::vector<Bytes> cut(const Bytes& p, size_t mtu) {
  std::vector<Bytes> out;
  Ipv4Fragments fragments(p, mtu);
  Bytes buffer(mtu);
  while (const size_t size = fragments.next(buffer.data())) {
    out.emplace_back(buffer.begin(), buffer.begin() + static_cast<long>(size));
    if (out.size() > 10000) break;
  }
  return out;
}

size_t header_size(const Bytes& p) { return static_cast<size_t>(p[0] & 15) * 4; }

}  // namespace

TEST(fragments_whole, "fragments: together they are the packet again, whatever its size and the MTU") {
  for (int i = 0; i < 2000; i++) {
    const Bytes options(test::random()() % 11 * 4, 1);
    const uint16_t offset = i % 3 == 0 ? static_cast<uint16_t>(test::random()() % 100) : 0;
    const uint16_t more = i % 5 == 0 ? 0x2000 : 0;
    const Bytes p = packet(options, test::random()() % 3000, static_cast<uint16_t>(offset | more));
    const size_t mtu = header_size(p) + 8 + test::random()() % 1400;
    const auto all = cut(p, mtu);
    const size_t payload = p.size() - header_size(p);
    Bytes together(payload);
    size_t covered = 0;
    for (size_t n = 0; n < all.size(); n++) {
      const Bytes& f = all[n];
      IpHeader header;
      CHECK(parse_ip(f, header) && f.size() <= mtu && checksum(View(f).first(header_size(f))) == 0);
      CHECK(load16(&f[4]) == 0xbeef && f[1] == 0x28 && f[8] == 61 && f[9] == 17);
      const uint16_t field = load16(&f[6]);
      const size_t at = (static_cast<size_t>(field & 0x1fff) - offset) * 8;
      CHECK(at == covered && at + f.size() - header_size(f) <= payload);
      std::copy(f.begin() + static_cast<long>(header_size(f)), f.end(), together.begin() + static_cast<long>(at));
      covered += f.size() - header_size(f);
      const bool last = n + 1 == all.size();
      CHECK((field & 0x2000) == (last ? more : 0x2000));
    }
    CHECK(covered == payload && std::equal(together.begin(), together.end(), p.end() - static_cast<long>(payload)));
  }
}

TEST(fragments_options, "fragments: only options to be copied are in later ones") {
  // Record route (not copied), no-operation, router alert (copied), end.
  const Bytes options = {7, 3, 4, 1, 0x94, 4, 0, 0, 0, 0, 0, 0};
  const auto all = cut(packet(options, 2000), 1000);
  CHECK(all.size() == 3);
  CHECK(std::equal(options.begin(), options.end(), all[0].begin() + 20));
  for (size_t i = 1; i < all.size(); i++) {
    CHECK(all[i][0] == 0x46);
    CHECK(load32(&all[i][20]) == 0x94040000);
  }
  // An option that lies about its length.
  const auto lying = cut(packet({0x94, 99, 0, 0}, 2000), 1000);
  CHECK(lying.size() == 3 && lying[1][0] == 0x45);
  const auto empty = cut(packet({0x94, 0, 0, 0}, 2000), 1000);
  CHECK(empty.size() == 3 && empty[1][0] == 0x45);
}

TEST(fragments_impossible, "fragments: none of what says no, or where there is no room") {
  CHECK(!Ipv4Fragments(packet({}, 2000, 0x4000), 1000).possible());
  CHECK(cut(packet({}, 2000, 0x4000), 1000).empty());
  CHECK(!Ipv4Fragments(packet({}, 2000), 27).possible());
  CHECK(Ipv4Fragments(packet({}, 2000), 28).possible());
  CHECK(cut(packet({}, 0), 100).size() == 1);
}
