// Which packets of peers come in: rules, answers to what was sent, fragments, ICMP errors.
#include "filter.h"

#include <algorithm>
#include <string>

#include "check.h"
#include "icmp.h"
#include "peer.h"
#include "prefix_table.h"
#include "tcp_udp_packets.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

using Protocol = FilterService::Protocol;

constexpr uint8_t kMe = 9, kAlice = 1, kBob = 2;

Address host(uint8_t number, bool six = false) {
  return *Address::parse((six ? "fd00::" : "10.9.0.") + std::to_string(number));
}
Prefix only(uint8_t number, bool six = false) { return {host(number, six), static_cast<uint8_t>(six ? 128 : 32)}; }

struct Machine {
  explicit Machine(FilterRules rules = {{}, false}, uint64_t now = 1'000'000) : now_ms(now) { set(std::move(rules)); }
  void set(FilterRules rules) {
    auto memory = filter ? filter->memory() : std::make_shared<Filter::Memory>(static_cast<uint32_t>(now_ms / 1000));
    filter = std::make_unique<Filter>(rules, owners, std::move(memory), ++generation);
  }
  bool in(View packet, const Peer* peer = nullptr) {
    IpHeader ip;
    CHECK(parse_ip(packet, ip));
    return filter->passes(packet, ip, peer, now_ms);
  }
  void out(View packet) {
    IpHeader ip;
    CHECK(parse_ip(packet, ip));
    filter->sent(packet, ip, nullptr, now_ms);
  }
  // So long after the filter was made that nothing is picked up any more.
  void settle() { now_ms += (Filter::kPickUp + 1) * 1000; }

  uint64_t now_ms;
  uint16_t generation = 0;
  const PrefixTable* owners = nullptr;
  std::unique_ptr<Filter> filter;
};

struct Ports {
  uint16_t from, to;
};

PacketSpec spec(bool udp, Ports ports, uint8_t from, uint8_t to, bool six = false) {
  PacketSpec s;
  s.six = six;
  s.udp = udp;
  s.host = from;
  s.from = ports.from;
  s.to = ports.to;
  s.payload = Bytes(32, to);
  return s;
}

// PacketSpec always sends to 9; the addresses may be set afterwards, for nothing here looks at checksums.
Bytes between(PacketSpec s, uint8_t to) {
  Bytes p = build(s);
  p[s.six ? 39 : 19] = to;
  return p;
}

Bytes to_me(bool udp, Ports ports, uint8_t from = kAlice, bool six = false, uint8_t flags = 0x10) {
  PacketSpec s = spec(udp, ports, from, kMe, six);
  s.flags = flags;
  return between(s, kMe);
}
Bytes from_me(bool udp, Ports ports, uint8_t to = kAlice, bool six = false, uint8_t flags = 0x10) {
  PacketSpec s = spec(udp, ports, kMe, to, six);
  s.flags = flags;
  return between(s, to);
}

constexpr bool kOverTcp = false, kOverUdp = true;
constexpr uint8_t kSyn = 0x02, kAck = 0x10, kSynAck = 0x12;

Bytes echo(bool request, uint16_t id, uint8_t from, uint8_t to, bool six = false) {
  Bytes p = between(spec(kOverUdp, {0, 0}, from, to, six), to);
  p[six ? 6 : 9] = six ? 58 : 1;
  uint8_t* icmp = &p[six ? 40 : 20];
  icmp[0] = static_cast<uint8_t>(six ? (request ? 128 : 129) : (request ? 8 : 0));
  icmp[1] = 0;
  store16(icmp + 4, id);
  return p;
}

// An error that somebody else than the packet's receiver may send.
Bytes error_for(View packet, uint8_t from) {
  IpHeader ip;
  CHECK(parse_ip(packet, ip));
  Bytes out(kMaxIcmpError);
  out.resize(make_unreachable(packet, ip, out.data()));
  out[ip.version == 4 ? 15 : 23] = from;
  return out;
}

FilterRule allow(std::vector<FilterService> services, std::vector<Prefix> sources = {}) {
  return {true, sources.empty(), std::move(sources), std::move(services)};
}
FilterRule deny(std::vector<FilterService> services, std::vector<Prefix> sources = {}) {
  return {false, sources.empty(), std::move(sources), std::move(services)};
}

}  // namespace

TEST(filter_rules, "filter: the first rule that matches decides") {
  for (const bool six : {false, true}) {
    Machine m({{allow({{Protocol::tcp, 22, 22}}, {only(kAlice, six)}), deny({{Protocol::tcp, 20, 30}, {Protocol::udp, 53, 53}}),
                deny({{Protocol::icmp}}, {only(kBob, six)})},
               true});
    CHECK(m.in(to_me(kOverTcp, {5, 22}, kAlice, six, kSyn)));
    CHECK(!m.in(to_me(kOverTcp, {5, 22}, kBob, six, kSyn)));
    CHECK(!m.in(to_me(kOverTcp, {5, 20}, kAlice, six)) && !m.in(to_me(kOverTcp, {5, 30}, kAlice, six)));
    CHECK(m.in(to_me(kOverTcp, {22, 19}, kAlice, six)) && m.in(to_me(kOverTcp, {22, 31}, kBob, six)));
    CHECK(m.in(to_me(kOverUdp, {53, 22}, kBob, six)) && !m.in(to_me(kOverUdp, {5, 53}, kAlice, six)));
    CHECK(m.in(echo(true, 1, kAlice, kMe, six)) && !m.in(echo(true, 1, kBob, kMe, six)));
  }
}

TEST(filter_default, "filter: without a match the default decides") {
  Machine closed({{allow({{Protocol::tcp, 80, 80}})}, false});
  CHECK(closed.in(to_me(kOverTcp, {1, 80})) && !closed.in(to_me(kOverTcp, {1, 81})) && !closed.in(to_me(kOverUdp, {1, 80})));
  CHECK(!closed.in(echo(true, 1, kAlice, kMe)));
  // ICMP of the other family is not ICMP.
  Machine icmp({{allow({{Protocol::icmp}})}, false});
  Bytes wrong = echo(true, 1, kAlice, kMe);
  CHECK(icmp.in(wrong));
  wrong[9] = 58;
  CHECK(!icmp.in(wrong));
}

TEST(filter_sources, "filter: a source is a prefix, or a peer with all that is behind it") {
  Peer alice(1), bob(2);
  const PrefixTable owners({{only(kAlice), &alice}, {*Prefix::parse("192.168.7.0/24"), &alice}, {only(kBob), &bob}});
  Machine m({{deny({}, {only(kAlice)}), deny({}, {*Prefix::parse("172.16.0.0/12")})}, true});
  Bytes behind = to_me(kOverTcp, {1, 80});
  memcpy(&behind[12], Address::parse("192.168.7.5")->bytes.data(), 4);
  CHECK(m.in(behind, &alice));
  m.owners = &owners;
  m.set({{deny({}, {only(kAlice)}), deny({}, {*Prefix::parse("172.16.0.0/12")})}, true});
  CHECK(!m.in(behind, &alice) && m.in(behind, &bob));
  CHECK(!m.in(to_me(kOverTcp, {1, 80}, kAlice), &alice) && m.in(to_me(kOverTcp, {1, 80}, kBob), &bob));
  for (const auto& [source, passes] : {std::pair{"172.15.255.255", true}, {"172.16.0.0", false}, {"172.31.255.255", false}, {"172.32.0.0", true}}) {
    memcpy(&behind[12], Address::parse(source)->bytes.data(), 4);
    CHECK(m.in(behind, &bob) == passes);
  }
  // Who has only the way to an address, such as an exit node, is not meant by it.
  const PrefixTable with_exit({{only(kAlice), &alice}, {only(kBob), &bob}, {*Prefix::parse("0.0.0.0/0"), &bob}});
  m.owners = &with_exit;
  m.set({{allow({}, {only(7)})}, false});
  CHECK(m.in(to_me(kOverTcp, {1, 80}, 7), &bob) && !m.in(to_me(kOverTcp, {1, 80}, kBob), &bob));
  m.set({{allow({}, {only(kBob)})}, false});
  CHECK(m.in(to_me(kOverTcp, {1, 80}, 7), &bob) && !m.in(to_me(kOverTcp, {1, 80}, kAlice), &alice));
  // A rule for peers of which none is known matches nobody.
  FilterRule nobody{false, false, {}, {}};
  m.set({{nobody}, true});
  CHECK(m.in(to_me(kOverTcp, {1, 80}, kAlice), &alice));
}

TEST(filter_tcp, "filter: what answers a connection comes in, and nothing else of it") {
  for (const bool six : {false, true}) {
    Machine m;
    m.settle();
    CHECK(!m.in(to_me(kOverTcp, {80, 40000}, kAlice, six, kSynAck)));
    m.out(from_me(kOverTcp, {40000, 80}, kAlice, six, kSyn));
    CHECK(m.in(to_me(kOverTcp, {80, 40000}, kAlice, six, kSynAck)));
    CHECK(m.in(to_me(kOverTcp, {80, 40000}, kAlice, six, kAck)));
    CHECK(!m.in(to_me(kOverTcp, {80, 40000}, kAlice, six, kSyn)));
    CHECK(!m.in(to_me(kOverTcp, {80, 40001}, kAlice, six)) && !m.in(to_me(kOverTcp, {81, 40000}, kAlice, six)));
    CHECK(!m.in(to_me(kOverTcp, {80, 40000}, kBob, six)) && !m.in(to_me(kOverUdp, {80, 40000}, kAlice, six)));
    CHECK(!m.in(to_me(kOverTcp, {80, 40000}, kAlice, !six)));
    // Either side keeps it alive.
    for (int hour = 0; hour < 6; hour++) {
      m.now_ms += 3'600'000;
      if (hour % 2 == 0) CHECK(m.in(to_me(kOverTcp, {80, 40000}, kAlice, six)));
      else m.out(from_me(kOverTcp, {40000, 80}, kAlice, six));
    }
    m.now_ms += 7'501'000;
    CHECK(!m.in(to_me(kOverTcp, {80, 40000}, kAlice, six)));
    m.out(from_me(kOverTcp, {40000, 80}, kAlice, six));
    CHECK(!m.in(to_me(kOverTcp, {80, 40000}, kAlice, six)));
  }
}

TEST(filter_change, "filter: new rules hold for what peers have opened, not for what this host has") {
  Machine m({{allow({{Protocol::tcp, 22, 22}, {Protocol::udp, 53, 53}})}, false});
  m.settle();
  m.out(from_me(kOverTcp, {40000, 80}, kAlice, false, kSyn));
  CHECK(m.in(to_me(kOverTcp, {5, 22}, kAlice, false, kSyn)));
  m.out(from_me(kOverTcp, {22, 5}, kAlice, false, kSynAck));
  CHECK(m.in(to_me(kOverUdp, {5, 53})));
  m.out(from_me(kOverUdp, {53, 5}));
  m.set({{}, false});
  m.out(from_me(kOverTcp, {22, 5}));
  CHECK(!m.in(to_me(kOverTcp, {5, 22})) && !m.in(to_me(kOverUdp, {5, 53})));
  CHECK(m.in(to_me(kOverTcp, {80, 40000})));
}

TEST(filter_pick_up, "filter: connections that are older than the rules go on if this host sends soon") {
  Machine m;
  CHECK(!m.in(to_me(kOverTcp, {80, 40000})));
  m.out(from_me(kOverTcp, {40000, 80}));
  CHECK(m.in(to_me(kOverTcp, {80, 40000})));
  m.settle();
  m.out(from_me(kOverTcp, {40001, 80}));
  CHECK(m.in(to_me(kOverTcp, {80, 40000})) && !m.in(to_me(kOverTcp, {80, 40001})));
}

TEST(filter_udp, "filter: answers to UDP come in for as long as this host sends") {
  Machine m;
  m.out(from_me(kOverUdp, {40000, 53}));
  for (int i = 0; i < 5; i++) {
    CHECK(m.in(to_me(kOverUdp, {53, 40000})));
    m.now_ms += 60'000;
  }
  CHECK(m.in(to_me(kOverUdp, {53, 40000})));
  m.now_ms += 1'000;
  CHECK(!m.in(to_me(kOverUdp, {53, 40000})));
}

TEST(filter_room, "filter: a peer that is answered as the rules allow takes no room among the flows") {
  Machine m({{allow({{Protocol::udp, 53, 53}})}, false});
  // Of the same generation, so that it sees what is remembered.
  const Filter closed({{}, false}, nullptr, m.filter->memory(), m.generation);
  const auto remembered = [&](const Bytes& packet) {
    IpHeader ip;
    return parse_ip(packet, ip) && closed.passes(packet, ip, nullptr, m.now_ms);
  };
  m.out(from_me(kOverUdp, {53, 5}));
  CHECK(m.in(to_me(kOverUdp, {5, 53})) && !remembered(to_me(kOverUdp, {5, 53})));
  m.out(from_me(kOverUdp, {54, 5}));
  CHECK(m.in(to_me(kOverUdp, {5, 54})) && remembered(to_me(kOverUdp, {5, 54})));
}

TEST(filter_echo, "filter: an answer to an echo comes in, an echo does not") {
  for (const bool six : {false, true}) {
    Machine m;
    CHECK(!m.in(echo(false, 7, kAlice, kMe, six)));
    m.out(echo(true, 7, kMe, kAlice, six));
    CHECK(m.in(echo(false, 7, kAlice, kMe, six)));
    CHECK(!m.in(echo(false, 8, kAlice, kMe, six)) && !m.in(echo(false, 7, kBob, kMe, six)));
    CHECK(!m.in(echo(true, 7, kAlice, kMe, six)));
    // An answer of ours opens nothing.
    m.out(echo(false, 9, kMe, kAlice, six));
    CHECK(!m.in(echo(false, 9, kAlice, kMe, six)) && !m.in(echo(true, 9, kAlice, kMe, six)));
  }
}

TEST(filter_other, "filter: any other protocol is a flow of its two addresses") {
  Machine m({{allow({{Protocol::tcp}, {Protocol::udp}, {Protocol::icmp}})}, false});
  Bytes in = to_me(kOverUdp, {1, 2}), out = from_me(kOverUdp, {3, 4});
  in[9] = out[9] = 47;
  CHECK(!m.in(in));
  m.out(out);
  CHECK(m.in(in));
  m.now_ms += 601'000;
  CHECK(!m.in(in));
}

TEST(filter_errors, "filter: ICMP errors come in if they are about what came or went by right") {
  for (const bool six : {false, true}) {
    Machine m({{allow({{Protocol::tcp, 22, 22}})}, false});
    m.settle();
    const Bytes asked = from_me(kOverUdp, {40000, 53}, kAlice, six), served = from_me(kOverTcp, {22, 5}, kAlice, six),
                other = from_me(kOverTcp, {23, 5}, kAlice, six);
    CHECK(!m.in(error_for(asked, kBob)));
    m.out(asked);
    // Also of a router behind another peer.
    CHECK(m.in(error_for(asked, kAlice)) && m.in(error_for(asked, kBob)));
    CHECK(m.in(error_for(served, kAlice)) && !m.in(error_for(other, kAlice)));
    // About a packet of somebody else.
    CHECK(!m.in(error_for(to_me(kOverUdp, {53, 40000}, kAlice, six), kBob)));
    Bytes cut = error_for(asked, kAlice);
    cut.resize((six ? 48 : 28) + (six ? 40 : 20) + 4);
    if (six) store16(&cut[4], static_cast<uint32_t>(cut.size() - 40));
    else store16(&cut[2], static_cast<uint32_t>(cut.size()));
    CHECK(!m.in(cut));
    const Bytes ping = echo(true, 4, kMe, kAlice, six);
    CHECK(!m.in(error_for(ping, kBob)));
    m.out(ping);
    CHECK(m.in(error_for(ping, kBob)));
  }
}

namespace {

// IPv4: the packet in pieces of `size` bytes of payload.
std::vector<Bytes> pieces(const Bytes& packet, size_t size, uint16_t id) {
  std::vector<Bytes> out;
  for (size_t at = 20; at < packet.size(); at += size) {
    const size_t end = std::min(packet.size(), at + size);
    Bytes p(packet.begin(), packet.begin() + 20);
    p.insert(p.end(), packet.begin() + static_cast<ptrdiff_t>(at), packet.begin() + static_cast<ptrdiff_t>(end));
    store16(&p[2], static_cast<uint32_t>(p.size()));
    store16(&p[4], id);
    store16(&p[6], static_cast<uint32_t>((end < packet.size() ? 0x2000 : 0) | (at - 20) / 8));
    out.push_back(std::move(p));
  }
  return out;
}

// IPv6: the same, behind a fragment header.
std::vector<Bytes> pieces6(const Bytes& packet, size_t size, uint32_t id) {
  std::vector<Bytes> out;
  for (size_t at = 40; at < packet.size(); at += size) {
    const size_t end = std::min(packet.size(), at + size);
    Bytes p(packet.begin(), packet.begin() + 40);
    p.resize(48);
    p[40] = packet[6];
    p[6] = 44;
    store16(&p[42], static_cast<uint32_t>((at - 40) | (end < packet.size() ? 1 : 0)));
    store32(&p[44], id);
    p.insert(p.end(), packet.begin() + static_cast<ptrdiff_t>(at), packet.begin() + static_cast<ptrdiff_t>(end));
    store16(&p[4], static_cast<uint32_t>(p.size() - 40));
    out.push_back(std::move(p));
  }
  return out;
}

}  // namespace

TEST(filter_fragments, "filter: fragments share the fate of the first") {
  for (const bool six : {false, true}) {
    const auto cut = [&](const Bytes& packet, uint32_t id) {
      return six ? pieces6(packet, 24, id) : pieces(packet, 24, static_cast<uint16_t>(id));
    };
    Machine m({{allow({{Protocol::tcp, 22, 22}})}, false});
    m.settle();
    const auto good = cut(to_me(kOverTcp, {5, 22}, kAlice, six), 7), bad = cut(to_me(kOverTcp, {5, 23}, kAlice, six), 8);
    CHECK(good.size() > 2 && !m.in(good[1]));
    for (const Bytes& p : good) CHECK(m.in(p));
    for (const Bytes& p : bad) CHECK(!m.in(p));
    m.now_ms += 31'000;
    CHECK(!m.in(good[1]));
    // Of an answer.
    const auto answer = cut(to_me(kOverUdp, {53, 40000}, kAlice, six), 9);
    CHECK(!m.in(answer[0]));
    m.out(from_me(kOverUdp, {40000, 53}, kAlice, six));
    for (const Bytes& p : answer) CHECK(m.in(p));
    // A rule for one port makes fragments without ports wait for the first; one for all ports does not.
    m.set({{deny({{Protocol::tcp, 22, 22}})}, true});
    CHECK(!m.in(good[1]) && m.in(cut(to_me(kOverUdp, {1, 2}, kAlice, six), 10)[1]));
    m.set({{allow({{Protocol::tcp}})}, false});
    CHECK(m.in(good[1]));
  }
}

TEST(filter_tricks, "filter: headers that hide ports are refused") {
  Machine m({{deny({{Protocol::tcp, 22, 22}})}, true});
  // A first fragment without the whole TCP header, and one that would overwrite it.
  const auto tiny = pieces(to_me(kOverTcp, {5, 80}), 8, 3);
  CHECK(!m.in(tiny[0]) && !m.in(tiny[1]));
  Bytes stub = to_me(kOverTcp, {5, 80});
  stub.resize(30);
  store16(&stub[2], 30);
  CHECK(!m.in(stub));
  // Behind extension headers.
  PacketSpec s = spec(kOverTcp, {5, 22}, kAlice, kMe, true);
  s.first_extension = 60;
  s.ip_options = Bytes{0, 0, 0, 0, 0, 0, 0, 0, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  CHECK(!m.in(build(s)));
  s.to = 80;
  CHECK(m.in(build(s)));
  s.ip_options[9] = 200;
  CHECK(!m.in(build(s)));
  s.ip_options = Bytes(8 * 17);
  for (size_t i = 0; i < 16; i++) s.ip_options[i * 8] = 60;
  s.ip_options[8 * 16] = 6;
  CHECK(!m.in(build(s)));
  // An atomic fragment is no fragment; a fragment of a fragment is nothing.
  s.first_extension = 44;
  s.ip_options = Bytes{6, 0, 0, 0, 0, 0, 0, 1};
  CHECK(m.in(build(s)));
  s.to = 22;
  CHECK(!m.in(build(s)));
  s.to = 80;
  s.ip_options = Bytes{44, 0, 0, 1, 0, 0, 0, 1, 6, 0, 0, 1, 0, 0, 0, 1};
  CHECK(!m.in(build(s)));
  // A later fragment that does not say its protocol.
  s.ip_options = Bytes{60, 0, 0, 8, 0, 0, 0, 1};
  CHECK(!m.in(build(s)));
}

TEST(filter_property, "filter: random rules and packets get the verdict of a plain reading") {
  auto& random = test::random();
  for (int round = 0; round < 400; round++) {
    FilterRules rules{{}, (random() & 1) != 0};
    for (size_t i = pick(0, 6); i > 0; i--) {
      FilterRule rule{(random() & 1) != 0, (random() & 1) != 0, {}, {}};
      if (!rule.anybody) {
        for (size_t n = pick(0, 2); n > 0; n--) rule.sources.push_back(only(static_cast<uint8_t>(pick(1, 4)), (random() & 1) != 0));
      }
      for (size_t n = pick(0, 3); n > 0; n--) {
        const auto first = static_cast<uint16_t>(pick(1, 6));
        rule.services.push_back({static_cast<Protocol>(pick(0, 2)), first, static_cast<uint16_t>(pick(first, 6))});
      }
      rules.rules.push_back(rule);
    }
    Machine m(rules);
    for (int n = 0; n < 40; n++) {
      const bool six = random() & 1, udp = random() & 1, icmp = pick(0, 3) == 0;
      const auto from = static_cast<uint8_t>(pick(1, 4));
      const auto port = static_cast<uint16_t>(pick(1, 7));
      const Bytes packet = icmp ? echo(true, port, from, kMe, six) : to_me(udp, {9, port}, from, six);
      bool expected = rules.allow_others;
      for (const FilterRule& rule : rules.rules) {
        const auto is_source = [&](const Prefix& p) { return p.address == host(from, six); };
        if (!rule.anybody && std::none_of(rule.sources.begin(), rule.sources.end(), is_source)) continue;
        const auto is_service = [&](const FilterService& s) {
          if (icmp) return s.protocol == Protocol::icmp;
          return s.protocol == (udp ? Protocol::udp : Protocol::tcp) && port >= s.first && port <= s.last;
        };
        if (!rule.services.empty() && std::none_of(rule.services.begin(), rule.services.end(), is_service)) continue;
        expected = rule.allow;
        break;
      }
      CHECK(m.in(packet) == expected);
    }
  }
}
