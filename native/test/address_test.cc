#include "address.h"

#include "check.h"

using namespace vpnd;

TEST(address_text, "addresses: text and back") {
  for (const char* text : {"0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "fd00::1", "2001:db8::1:0:0:1"}) {
    const auto a = Address::parse(text);
    CHECK(a && a->text() == text);
  }
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g", "1.2.3.4/32", " 1.2.3.4", "fe80::1%eth0"}) {
    CHECK(!Address::parse(text));
  }
}

TEST(prefix_text, "prefixes: host bits are cleared, odd ones refused") {
  const auto p = Prefix::parse("10.1.255.3/17");
  CHECK(p && p->address.text() == "10.1.128.0" && p->length == 17);
  const auto six = Prefix::parse("fd00:ffff::1/17");
  CHECK(six && six->address.text() == "fd00:8000::" && six->length == 17);
  CHECK(Prefix::parse("10.0.0.1")->length == 32 && Prefix::parse("fd00::1")->length == 128);
  CHECK(Prefix::parse("10.0.0.1/0")->address.text() == "0.0.0.0");
  for (const char* text : {"10.0.0.1/33", "fd00::1/129", "10.0.0.1/", "10.0.0.1/-1", "10.0.0.1/1x", "/8"}) {
    CHECK(!Prefix::parse(text));
  }
}

TEST(endpoint_text, "endpoints: text and back, and as socket addresses") {
  for (const char* text : {"10.0.0.1:1", "10.0.0.1:65535", "[fd00::1]:9944"}) {
    const auto e = Endpoint::parse(text);
    CHECK(e && e->text() == text);
    if (!e) continue;
    sockaddr_storage storage;
    const socklen_t size = e->to(storage);
    CHECK(size == (e->address.family == 4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
    CHECK(Endpoint::from(reinterpret_cast<const sockaddr*>(&storage)) == *e);
  }
  for (const char* text : {"10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "fd00::1:1", "[10.0.0.1]:1", "[fd00::1]", ":1", "a:1", "10.0.0.1:+1"}) {
    CHECK(!Endpoint::parse(text));
  }
}
