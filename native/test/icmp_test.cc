#include "icmp.h"

#include <algorithm>

#include "check.h"
#include "token_bucket.h"

using namespace vpnd;

namespace {

Bytes packet(const char* from, const char* to, uint8_t protocol, Bytes payload) {
  const Address source = *Address::parse(from), destination = *Address::parse(to);
  const bool four = source.family == 4;
  Bytes p(four ? 20 : 40);
  p[0] = four ? 0x45 : 0x60;
  p[four ? 9 : 6] = protocol;
  memcpy(&p[four ? 12 : 8], source.bytes.data(), four ? 4 : 16);
  memcpy(&p[four ? 16 : 24], destination.bytes.data(), four ? 4 : 16);
  p.insert(p.end(), payload.begin(), payload.end());
  if (four) store16(&p[2], static_cast<uint32_t>(p.size()));
  else store16(&p[4], static_cast<uint32_t>(p.size() - 40));
  return p;
}

bool answered(const Bytes& p) {
  IpHeader header;
  CHECK(parse_ip(p, header));
  return may_answer(p, header);
}

Bytes answer(const Bytes& p) {
  IpHeader header;
  CHECK(parse_ip(p, header));
  Bytes out(kMaxIcmpError, 0xee);
  out.resize(make_unreachable(p, header, out.data()));
  return out;
}

}  // namespace

TEST(icmp_v4, "ICMP: host unreachable quotes the packet and has right checksums") {
  for (const size_t size : {8, 9, 100, 1380}) {
    const Bytes p = packet("10.0.0.1", "10.0.0.99", 17, Bytes(size, 0xab));
    const Bytes a = answer(p);
    IpHeader header;
    CHECK(parse_ip(a, header));
    CHECK(header.protocol == 1 && header.source.text() == "10.0.0.99" && header.destination.text() == "10.0.0.1");
    CHECK(a.size() == std::min(p.size() + 28, size_t{576}));
    CHECK(checksum({a.data(), 20}) == 0);
    CHECK(checksum(View(a).subspan(20)) == 0);
    CHECK(a[20] == 3 && a[21] == 1);
    CHECK(std::equal(a.begin() + 28, a.end(), p.begin()));
  }
}

TEST(icmp_v6, "ICMPv6: address unreachable quotes the packet and has a right checksum") {
  for (const size_t size : {0, 7, 100, 1360}) {
    const Bytes p = packet("fd00::1", "fd00::99", 17, Bytes(size, 0xcd));
    const Bytes a = answer(p);
    IpHeader header;
    CHECK(parse_ip(a, header));
    CHECK(header.protocol == 58 && header.source.text() == "fd00::99" && header.destination.text() == "fd00::1");
    CHECK(a.size() == std::min(p.size() + 48, size_t{1280}));
    // The sum of RFC 8200 section 8.1, written out.
    Bytes pseudo(a.begin() + 8, a.begin() + 40);
    pseudo.resize(40);
    store32(&pseudo[32], static_cast<uint32_t>(a.size() - 40));
    pseudo[39] = 58;
    pseudo.insert(pseudo.end(), a.begin() + 40, a.end());
    CHECK(checksum(pseudo) == 0);
    CHECK(a[40] == 1 && a[41] == 3);
    CHECK(std::equal(a.begin() + 48, a.end(), p.begin()));
  }
}

TEST(icmp_too_big, "ICMP: too big says the MTU, with right checksums") {
  const auto too_big = [](const Bytes& p, size_t mtu) {
    IpHeader header;
    CHECK(parse_ip(p, header));
    Bytes out(kMaxIcmpError, 0xee);
    out.resize(make_too_big(p, header, mtu, out.data()));
    CHECK(parse_ip(out, header) && !may_answer(out, header));
    return out;
  };
  const Bytes four = too_big(packet("10.0.0.1", "10.0.0.2", 6, Bytes(1380, 1)), 1218);
  CHECK(four.size() == 576 && checksum({four.data(), 20}) == 0 && checksum(View(four).subspan(20)) == 0);
  CHECK(four[20] == 3 && four[21] == 4 && load32(&four[24]) == 1218);
  const Bytes six = too_big(packet("fd00::1", "fd00::2", 6, Bytes(1380, 1)), 1300);
  CHECK(six.size() == 1280 && six[40] == 2 && six[41] == 0 && load32(&six[44]) == 1300);
  const uint32_t pseudo = static_cast<uint16_t>(~checksum(View(six).subspan(8, 32), static_cast<uint32_t>(six.size() - 40) + 58));
  CHECK(checksum(View(six).subspan(40), pseudo) == 0);
}

TEST(icmp_silence, "ICMP: no error answers an error, a later fragment or nobody") {
  const Bytes data(16);
  CHECK(answered(packet("10.0.0.1", "10.0.0.99", 6, data)));
  CHECK(answered(packet("10.0.0.1", "10.0.0.99", 1, {8, 0, 0, 0, 0, 0, 0, 0})));
  for (const uint8_t type : Bytes{3, 4, 5, 11, 12}) CHECK(!answered(packet("10.0.0.1", "10.0.0.99", 1, {type, 0, 0, 0})));
  CHECK(!answered(packet("10.0.0.1", "10.0.0.99", 1, {})));
  for (const char* from : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"}) {
    CHECK(!answered(packet(from, "10.0.0.99", 17, data)));
  }
  Bytes fragment = packet("10.0.0.1", "10.0.0.99", 17, data);
  store16(&fragment[6], 0x2000);
  CHECK(answered(fragment));
  store16(&fragment[6], 0x2001);
  CHECK(!answered(fragment));
}

TEST(icmp_v6_silence, "ICMPv6: no error answers an error behind any chain of headers") {
  const auto six = [](uint8_t next, Bytes payload, const char* from = "fd00::1") {
    return answered(packet(from, "fd00::99", next, std::move(payload)));
  };
  CHECK(six(58, {128, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(!six(58, {1, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(!six(58, {127, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(!six(58, {137, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(!six(58, {128, 0}));
  CHECK(!six(17, Bytes(8), "::"));
  CHECK(!six(17, Bytes(8), "ff02::1"));
  // Hop-by-hop options, then destination options, then an error.
  Bytes chain = {60, 0, 0, 0, 0, 0, 0, 0, 58, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0};
  CHECK(!six(0, chain));
  chain[16] = 128;
  CHECK(six(0, chain));
  // Fragments: the first may be answered, later ones not.
  CHECK(six(44, {17, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(!six(44, {17, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  // A header that says it is longer than the packet.
  CHECK(!six(0, {0, 255, 0, 0, 0, 0, 0, 0}));
}

TEST(token_bucket, "token bucket: a burst, then the rate") {
  TokenBucket bucket(20, 5);
  uint64_t now = 1000000;
  int taken = 0;
  for (int i = 0; i < 100; i++) taken += bucket.take(now);
  CHECK(taken == 5);
  for (int i = 0; i < 10000; i++) taken += bucket.take(++now);
  CHECK(taken >= 5 + 199 && taken <= 5 + 200);
  CHECK(!bucket.take(now - 5000));
  now += 1000000000;
  for (taken = 0; bucket.take(now); taken++) {}
  CHECK(taken == 5);
}
