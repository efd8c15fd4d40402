#include "bench_micro.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "aead.h"
#include "aead_evp.h"
#include "bench_case.h"
#include "filter.h"
#include "node.h"
#include "packets.h"
#include "peer.h"
#include "prefix_table.h"

namespace vpnd::driver {

namespace {

constexpr unsigned kPeerCounts[] = {1, 1000, 65536};

// The n-th member's address.
Address member(unsigned n) {
  const uint8_t bytes[4] = {10, static_cast<uint8_t>(100 + (n >> 16)), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)};
  return Address::v4(bytes);
}

std::string peers_text(unsigned count) { return std::to_string(count) + (count == 1 ? " peer" : " peers"); }

void bench_lookup(unsigned count) {
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<PrefixTable::Entry> entries;
  for (unsigned i = 0; i < count; i++) {
    peers.push_back(std::make_unique<Peer>(i + 1));
    entries.push_back({{member(i), 32}, peers.back().get()});
  }
  const PrefixTable table(entries);
  std::mt19937 random(1);
  std::vector<Address> wanted;
  for (int i = 0; i < 4096; i++) wanted.push_back(member(static_cast<unsigned>(random() % count)));
  measure("look-up", peers_text(count).c_str(), 0, wanted.size(), [&] {
    for (const Address& address : wanted) keep(table.find(address));
  });
}

// What a packet pays where nobody filters, as the engine asks.
void bench_no_filter() {
  constexpr size_t kCount = 1024;
  const std::atomic<const Filter*> filter{nullptr};
  uint64_t passed = 0;
  measure("filter", "no rules", 0, kCount, [&] {
    for (size_t i = 0; i < kCount; i++) {
      passed += filter.load(std::memory_order_acquire) == nullptr;
      keep(passed);
    }
  });
}

// Rules for one port of one member each, none of which is the packet's; and what comes in as an answer.
void bench_filter(unsigned count) {
  FilterRules rules;
  for (unsigned i = 0; i < count; i++) {
    rules.rules.push_back({true, false, {{member(i), 32}}, {{FilterService::Protocol::tcp, 22, 22}}});
  }
  const std::string what = std::to_string(count) + (count == 1 ? " rule" : " rules");
  const uint64_t now = coarse_ms();
  const auto memory = std::make_shared<Filter::Memory>(static_cast<uint32_t>(now / 1000));
  std::vector<Bytes> in, out;
  std::vector<IpHeader> in_ip, out_ip;
  for (uint16_t i = 0; i < 1024; i++) {
    in.push_back(make_packet("10.9.0.1", "10.9.0.2", 1400, i));
    out.push_back(make_packet("10.9.0.2", "10.9.0.1", 1400, i));
    store16(&in.back()[22], i);
    store16(&out.back()[20], i);
    IpHeader ip;
    parse_ip(in.back(), ip);
    in_ip.push_back(ip);
    parse_ip(out.back(), ip);
    out_ip.push_back(ip);
  }
  for (const bool open : {true, false}) {
    rules.allow_others = open;
    const Filter filter(rules, nullptr, memory, 1);
    if (!open) {
      measure("filter, sent", what.c_str(), 0, out.size(), [&] {
        for (size_t i = 0; i < out.size(); i++) filter.sent(out[i], out_ip[i], nullptr, now);
      });
    }
    measure(open ? "filter, no rule matches" : "filter, an answer", what.c_str(), 0, in.size(), [&] {
      for (size_t i = 0; i < in.size(); i++) keep(filter.passes(in[i], in_ip[i], nullptr, now));
    });
  }
}

bool bench_records(Cipher cipher, const char* name) {
  constexpr size_t kSize = 1400, kCount = 64, kAad = 23;
  const Bytes key(kMaxKeySize, 7), aad(kAad, 1), nonce(kNonceSize, 3);
  const auto sealer = Aead::make(cipher, key.data(), Aead::Direction::seal, 1);
  const auto opener = Aead::make(cipher, key.data(), Aead::Direction::open, 1);
  if (!sealer || !opener) return false;
  Bytes plain(kSize * kCount, 5), sealed(kSize * kCount), tags(kTagSize * kCount);
  bool ok = true;
  measure("seal", name, kSize, kCount, [&] {
    for (size_t i = 0; i < kCount; i++) {
      ok &= sealer->seal(kControlLane, nonce.data(), aad, &plain[i * kSize], &sealed[i * kSize], kSize, &tags[i * kTagSize]);
    }
  });
  measure("open", name, kSize, kCount, [&] {
    for (size_t i = 0; i < kCount; i++) {
      ok &= opener->open(kControlLane, nonce.data(), aad, &sealed[i * kSize], &plain[i * kSize], kSize, &tags[i * kTagSize]);
    }
  });
  return ok;
}

// Two whole engines, and packets to members picked at random. All addresses lead to the one member that is there; besides,
// the table holds as many members that are not.
bool bench_engine(unsigned count) {
  constexpr unsigned kPackets = 50000;
  Node a({.seed = 1});
  Node b({.seed = 2});
  std::vector<Prefix> own;
  for (unsigned i = 0; i < count; i++) own.push_back({member(i), 32});
  for (unsigned i = 1; i < count; i++) a.engine().set_peer(Node::kPeer + i, {{member(i + 0x10000), 32}});
  a.engine().set_peer(Node::kPeer, std::move(own));
  b.engine().set_peer(Node::kPeer, {*Prefix::parse("10.9.0.1")});
  a.engine().connect(1, b.endpoint());
  const auto pump = [&] {
    a.pump();
    b.pump();
  };
  if (!wait_for(pump, [&] { return a.count(Event::Type::up) > 0 && b.count(Event::Type::up) > 0; })) return false;
  std::mt19937 random(2);
  std::vector<Bytes> packets;
  for (int i = 0; i < 4096; i++) packets.push_back(make_packet("10.9.0.1", member(static_cast<unsigned>(random() % count)).text(), 1400, 1));
  const uint64_t begin = now_ns(), cpu_begin = cpu_ns();
  for (unsigned i = 0; i < kPackets; i++) {
    a.send_inside(packets[i % packets.size()]);
    while (b.take_inside()) {
    }
  }
  const auto drain = [&] {
    while (b.take_inside()) {
    }
  };
  if (!wait_for(drain, [&] { return a.engine().peer_info(Node::kPeer)->tx_packets >= kPackets; })) return false;
  const double wall = static_cast<double>(now_ns() - begin) / kPackets;
  const double cpu = static_cast<double>(cpu_ns() - cpu_begin) / kPackets;
  print_case("engine to engine", peers_text(count).c_str(), wall, cpu, 1400);
  return true;
}

}  // namespace

int bench_micro() {
  for (const unsigned count : kPeerCounts) bench_lookup(count);
  bench_no_filter();
  for (const unsigned count : {1u, 10u, 100u}) bench_filter(count);
  bool ok = bench_offload();
  // Last the one that the engines below take, as vpnd would.
  for (const Crypto crypto : {Crypto::openssl, Crypto::automatic}) {
    if (!choose_crypto(crypto).empty()) return 1;
    if (crypto == Crypto::automatic && aead_implementation() == evp_name()) continue;  // the same again
    for (const Cipher cipher : cipher_preference()) {
      ok &= bench_records(cipher, (std::string(cipher_name(cipher)) + ", " + aead_implementation()).c_str());
    }
  }
  for (const unsigned count : kPeerCounts) ok &= bench_engine(count);
  if (!ok) fprintf(stderr, "driver: something could not be measured\n");
  return ok ? 0 : 1;
}

}  // namespace vpnd::driver
