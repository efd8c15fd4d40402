// Translated addresses: checksums after are those of a packet that had the other address from the beginning.
#include "source_nat.h"

#include "check.h"
#include "hub_devices.h"
#include "segment.h"
#include "tcp_udp_packets.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

constexpr uint8_t kIcmpOf[] = {1, 58};
constexpr VnetHeader kWhole;

Address random_host(bool six) {
  Address a;
  a.family = six ? 6 : 4;
  const Bytes bytes = random_bytes(a.bits() / 8);
  std::copy(bytes.begin(), bytes.end(), a.bytes.begin());
  a.bytes[0] = six ? 0x20 : 10;
  // Sums with many ones are where carries go wrong.
  if (pick(0, 3) == 0) std::fill(a.bytes.begin() + 1, a.bytes.begin() + a.bits() / 8, 0xff);
  return a;
}

struct Shape {
  bool six = false;
  uint8_t protocol = 17;
  Address from, to;
  size_t extra = 0;            // bytes of IPv4 options, or of a destination options header
  bool no_sum = false;         // UDP
  Bytes body;                  // transport header and payload; its checksum is written by make
};

size_t sum_place(uint8_t protocol) { return protocol == 6 ? 16 : protocol == 17 ? 6 : 2; }

uint16_t fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// Headers and checksums from the beginning, with plain code.
Bytes make(const Shape& shape) {
  Bytes body = shape.body, out;
  const size_t bytes = shape.from.bits() / 8;
  const View from{shape.from.bytes.data(), bytes}, to{shape.to.bytes.data(), bytes};
  store16(&body[sum_place(shape.protocol)], 0);
  if (shape.protocol == 17) store16(&body[4], static_cast<uint32_t>(body.size()));
  uint64_t sum = plain_sum(body);
  if (shape.protocol != 1) sum += plain_sum(from) + plain_sum(to) + body.size() + shape.protocol;
  uint16_t checksum = static_cast<uint16_t>(~fold(sum));
  if (shape.protocol == 17 && checksum == 0) checksum = 0xffff;
  if (shape.protocol != 17 || !shape.no_sum) store16(&body[sum_place(shape.protocol)], checksum);
  if (shape.six) {
    out = {0x60, 0, 0, 0, 0, 0, shape.extra ? uint8_t{60} : shape.protocol, 64};
    store16(&out[4], static_cast<uint32_t>(body.size() + shape.extra));
    out.insert(out.end(), from.begin(), from.end());
    out.insert(out.end(), to.begin(), to.end());
    if (shape.extra) {
      Bytes options(shape.extra, 0);
      options[0] = shape.protocol, options[1] = static_cast<uint8_t>(shape.extra / 8 - 1);
      out.insert(out.end(), options.begin(), options.end());
    }
  } else {
    out.assign(20, 0);
    out[0] = static_cast<uint8_t>(0x45 + shape.extra / 4);
    store16(&out[2], static_cast<uint32_t>(20 + shape.extra + body.size()));
    out[8] = 64, out[9] = shape.protocol;
    std::copy(from.begin(), from.end(), &out[12]);
    std::copy(to.begin(), to.end(), &out[16]);
    out.resize(20 + shape.extra, 1);
    store16(&out[10], static_cast<uint16_t>(~fold(plain_sum(out))));
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

Shape random_shape(bool six) {
  Shape shape;
  shape.six = six;
  shape.from = random_host(six), shape.to = random_host(six);
  shape.protocol = std::array<uint8_t, 3>{6, 17, kIcmpOf[six]}[pick(0, 2)];
  shape.extra = pick(0, 3) * 8;
  shape.no_sum = pick(0, 5) == 0;
  shape.body = random_bytes((shape.protocol == 6 ? 20 : 8) + pick(0, 200));
  if (shape.protocol == 6) shape.body[12] = 0x50;
  // Ping, and no error.
  if (shape.protocol == 1) shape.body[0] = 8;
  if (shape.protocol == 58) shape.body[0] = 128;
  return shape;
}

Shape with(Shape shape, Side side, const Address& address) {
  (side == Side::source ? shape.from : shape.to) = address;
  return shape;
}

const Address& of(const Shape& shape, Side side) { return side == Side::source ? shape.from : shape.to; }
Side random_side() { return pick(0, 1) ? Side::source : Side::destination; }

}  // namespace

TEST(nat_plain, "source nat: any packet is as if it had been made with the other address, and back again") {
  for (int i = 0; i < 4000; i++) {
    const Shape shape = random_shape(i & 1);
    const Side side = random_side();
    const Address to = random_host(shape.six);
    Bytes packet = make(shape);
    const Bytes before = packet;
    CHECK(replace_address(packet, kWhole, side, of(shape, side), to));
    CHECK(packet == make(with(shape, side, to)));
    CHECK(replace_address(packet, kWhole, side, to, of(shape, side)) && packet == before);
  }
}

TEST(nat_errors, "source nat: an ICMP error quotes the packet as its sender knows it, however much it quotes") {
  for (int i = 0; i < 4000; i++) {
    const Shape quoted = random_shape(i & 1);
    const Side side = random_side(), inner = side == Side::source ? Side::destination : Side::source;
    const Address own = of(quoted, inner), to = random_host(quoted.six);
    const auto error = [&](const Shape& about, const Address& host) {
      Shape shape;
      shape.six = about.six;
      shape.protocol = kIcmpOf[about.six];
      shape.from = shape.to = about.from;
      (side == Side::source ? shape.from : shape.to) = host;
      shape.body.assign(8, 0);
      shape.body[0] = about.six ? 3 : 11;
      Bytes quote = make(about);
      const size_t headers = quote.size() - about.body.size();
      // Even, for half a checksum cannot be mended.
      quote.resize(std::min(quote.size(), headers + std::max<size_t>(8, static_cast<size_t>(i) % 40 & ~size_t{1})));
      shape.body.insert(shape.body.end(), quote.begin(), quote.end());
      return shape;
    };
    Shape before = error(quoted, own), after = error(with(quoted, inner, to), to);
    // The other end is the same in both.
    (side == Side::source ? before.to : before.from) = (side == Side::source ? after.to : after.from);
    Bytes packet = make(before);
    CHECK(replace_address(packet, kWhole, side, own, to));
    CHECK(packet == make(after));
  }
}

TEST(nat_foreign_error, "source nat: an error about somebody else's packet quotes it as it is") {
  // One of the other family is no router's doing.
  for (const bool six : {false, true, false, true}) {
    for (const bool quotes_six : {false, true}) {
      Shape shape;
      shape.six = six, shape.protocol = kIcmpOf[six];
      shape.from = random_host(six), shape.to = random_host(six);
      shape.body = {six ? uint8_t{1} : uint8_t{3}, 1, 0, 0, 0, 0, 0, 0};
      const Shape quoted = random_shape(quotes_six);
      const Bytes quote = make(quoted);
      shape.body.insert(shape.body.end(), quote.begin(), quote.end() - static_cast<ptrdiff_t>(quoted.body.size() - 8));
      Bytes packet = make(shape);
      packet.shrink_to_fit();
      const Address to = random_host(six);
      CHECK(replace_address(packet, kWhole, Side::destination, shape.to, to) && packet == make(with(shape, Side::destination, to)));
    }
  }
}

TEST(nat_fragments, "source nat: the first fragment has the checksum of all, later ones none") {
  for (int i = 0; i < 500; i++) {
    Shape shape = random_shape(false);
    shape.protocol = 17, shape.no_sum = false;
    shape.body.resize(400);
    const Address to = random_host(false);
    const auto fragments = [&](const Shape& whole) {
      const Bytes all = make(whole);
      const size_t headers = 20 + whole.extra;
      std::vector<Bytes> out;
      for (size_t from = 0; from < 400; from += 200) {
        Bytes one(all.begin(), all.begin() + static_cast<ptrdiff_t>(headers));
        one.insert(one.end(), all.begin() + static_cast<ptrdiff_t>(headers + from), all.begin() + static_cast<ptrdiff_t>(headers + from + 200));
        store16(&one[2], static_cast<uint32_t>(one.size()));
        store16(&one[6], static_cast<uint32_t>(from / 8) | (from == 0 ? 0x2000 : 0));
        store16(&one[10], 0);
        store16(&one[10], static_cast<uint16_t>(~fold(plain_sum(View(one).first(headers)))));
        out.push_back(one);
      }
      return out;
    };
    std::vector<Bytes> packets = fragments(shape);
    for (Bytes& one : packets) CHECK(replace_address(one, kWhole, Side::source, shape.from, to));
    CHECK(packets == fragments(with(shape, Side::source, to)));
  }
}

TEST(nat_super, "source nat: a super-packet's sum of the pseudo-header goes along") {
  for (int i = 0; i < 200; i++) {
    PacketSpec spec;
    spec.six = i & 1;
    spec.udp = i & 2;
    spec.payload = random_bytes(pick(1, 9000));
    Super super = build_super(spec, 1000);
    IpHeader ip;
    CHECK(parse_ip(super.packet, ip));
    PacketSpec other = spec;
    other.host = static_cast<uint8_t>(pick(2, 250));
    Address to = ip.source;
    to.bytes[to.bits() / 8 - 1] = other.host;
    CHECK(replace_address(super.packet, super.header, Side::source, ip.source, to));
    CHECK(super.packet == build_super(other, 1000).packet);
    Segmenter segmenter;
    CHECK(segmenter.begin(super.header, super.packet, 1500));
    for (View segment = segmenter.next(); !segment.empty(); segment = segmenter.next()) CHECK(is_right(segment));
  }
}

TEST(nat_refused, "source nat: what has no transport header to mend is left alone") {
  Shape shape = random_shape(false);
  shape.protocol = 17, shape.extra = 0;
  shape.body.resize(12);
  Bytes packet = make(shape);
  packet[9] = 6;  // TCP has twenty bytes
  const Bytes before = packet;
  CHECK(!replace_address(packet, kWhole, Side::source, shape.from, random_host(false)) && packet == before);
}

TEST(nat_hosts, "source nat: only a host's address is learned") {
  for (const char* text : {"10.0.0.1", "192.168.1.5", "100.64.0.1", "169.254.3.4", "2001:db8::1", "fd00::1"}) CHECK(is_host_address(*Address::parse(text)));
  for (const char* text : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "ff02::1", "fe80::1"}) {
    CHECK(!is_host_address(*Address::parse(text)));
  }
}

TEST(nat_hub, "hub: a client with an address of its own sends as its slot, and is answered as itself") {
  HubDevices hub(Destinations({*Prefix::parse("10.66.0.0/16"), *Prefix::parse("ff00::/8")}, {}));
  const Address given4 = *Address::parse("10.91.0.2"), given6 = *Address::parse("fd76::1");
  hub.add(1, {{given4, 32}, {given6, 128}}, true);
  hub.hub->set_mode(1, PortHub::Mode::read);
  for (const bool six : {false, true}) {
    Shape shape = random_shape(six);
    shape.from = *Address::parse(six ? "fd00::5" : "192.168.1.5");
    const Address given = six ? given6 : given4;
    // What goes nowhere, and what no host can be, does not decide.
    Shape nowhere = shape, multicast = shape;
    nowhere.from = *Address::parse(six ? "fd00::77" : "192.168.1.77");
    nowhere.to = *Address::parse(six ? "ff02::1" : "10.66.0.1");
    multicast.from = *Address::parse(six ? "ff02::5" : "224.0.0.5");
    hub.write(1, make(nowhere));
    hub.write(1, make(multicast));
    CHECK(hub.arrived(1).empty());
    hub.write(1, make(shape));
    CHECK(hub.arrived(1) == std::vector<Bytes>{make(with(shape, Side::source, given))});
    // Others, and even the address that it was given, are foreign from now on.
    hub.write(1, make(with(shape, Side::source, random_host(six))));
    hub.write(1, make(with(shape, Side::source, given)));
    CHECK(hub.arrived(1).empty());
    Shape answer = shape;
    answer.from = shape.to, answer.to = given;
    CHECK(hub.send(1, make(answer)));
    CHECK(hub.take(1)[1] == std::vector<Bytes>{make(with(answer, Side::destination, shape.from))});
  }
  CHECK(hub.dropped(1, PortDrop::foreign_source) == 6 && hub.dropped(1, PortDrop::forbidden_destination) == 2);
}

TEST(nat_same, "hub: who sends as the address that it was given is let be") {
  HubDevices hub;
  Shape shape = random_shape(false);
  hub.add(1, {{shape.from, 32}}, true);
  hub.write(1, make(shape));
  CHECK(hub.arrived(1) == std::vector<Bytes>{make(shape)});
}
