// hot: Which packets of peers may come in. A filter is immutable once published; another set of rules is another filter.
#pragma once
#include <memory>
#include <vector>

#include "flow_table.h"
#include "ip_packet.h"
#include "transport.h"

namespace vpnd {

class PrefixTable;
struct Peer;

struct FilterService {
  enum class Protocol : uint8_t { tcp, udp, icmp };
  Protocol protocol = Protocol::tcp;
  uint16_t first = 0, last = 65535;  // destination ports; ICMP has none
};

struct FilterRule {
  bool allow = true;
  bool anybody = true;
  std::vector<Prefix> sources;          // unless anybody
  std::vector<FilterService> services;  // none: all, of any protocol
};

// The first rule that matches decides.
struct FilterRules {
  std::vector<FilterRule> rules;
  bool allow_others = true;  // what no rule matches
  bool pass_all() const { return rules.empty() && allow_others; }
};

class Filter {
 public:
  // What outlives a change of rules.
  struct Memory {
    explicit Memory(uint32_t now) : pick_up_until(now + kPickUp) {}
    FlowTable flows{65536};
    // Of their own, because peers make them.
    FlowTable fragments{4096};
    // Until then TCP connections are also known by what is sent in their middle: they may be older than the rules.
    uint32_t pick_up_until;
  };
  static constexpr uint32_t kPickUp = 60;

  // `owners`: a source that is the address of a peer stands for all that this peer may send; null: there are no peers.
  // `generation` tells sets of rules apart.
  Filter(const FilterRules& rules, const PrefixTable* owners, std::shared_ptr<Memory> memory, uint16_t generation);

  // Whether a packet that parse_ip took may come in. `peer`: who sent it; null: nobody that is known.
  bool passes(View packet, const IpHeader& ip, const Peer* peer, uint64_t now_ms) const noexcept;
  // Remembers a packet that this host sends to a peer: what answers it comes in, whatever the rules say of it.
  void sent(View packet, const IpHeader& ip, const Peer* peer, uint64_t now_ms) const noexcept;

  const std::shared_ptr<Memory>& memory() const { return memory_; }

 private:
  enum class Verdict : uint8_t { allow, deny, unclear };
  struct Source {
    Prefix prefix;
    const Peer* peer;  // compared, never looked into
  };
  struct Rule {
    bool allow;
    bool anybody;
    uint32_t first_source, last_source;
    uint32_t first_service, last_service;
  };

  Verdict judge(const Address& source, const Peer* peer, const Transport& transport) const noexcept;
  bool comes_from(const Rule& rule, const Address& source, const Peer* peer) const noexcept;
  bool answers(View packet, const IpHeader& ip, const Peer* peer, const Transport& transport, uint32_t now) const noexcept;
  bool concerns(View quoted, const Address& receiver, const Peer* peer, uint32_t now) const noexcept;

  std::vector<Rule> rules_;
  std::vector<Source> sources_;
  std::vector<FilterService> services_;
  const bool allow_others_;
  const uint16_t generation_;
  const std::shared_ptr<Memory> memory_;
};

}  // namespace vpnd
