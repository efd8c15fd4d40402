#include "filter.h"

#include "prefix_table.h"

namespace vpnd {

namespace {

bool contains(const Prefix& prefix, const Address& address) {
  if (prefix.address.family != address.family) return false;
  const size_t whole = prefix.length / 8;
  if (memcmp(prefix.address.bytes.data(), address.bytes.data(), whole) != 0) return false;
  const unsigned bits = prefix.length % 8;
  return bits == 0 || (prefix.address.bytes[whole] ^ address.bytes[whole]) >> (8 - bits) == 0;
}

bool is_of(FilterService::Protocol asked, uint8_t protocol, uint8_t family) {
  switch (asked) {
    case FilterService::Protocol::tcp: return protocol == kTcp;
    case FilterService::Protocol::udp: return protocol == kUdp;
    case FilterService::Protocol::icmp: return protocol == (family == 4 ? kIcmp : kIcmpV6);
  }
  return false;
}

FlowKind kind_of(uint8_t protocol) {
  switch (protocol) {
    case kTcp: return FlowKind::tcp;
    case kUdp: return FlowKind::udp;
    case kIcmp:
    case kIcmpV6: return FlowKind::icmp;
    default: return FlowKind::other;
  }
}

FlowKey outgoing(const IpHeader& ip, const Transport& t) { return {ip.source, ip.destination, t.protocol, t.from, t.to}; }
FlowKey incoming(const IpHeader& ip, const Transport& t) { return {ip.destination, ip.source, t.protocol, t.to, t.from}; }
FlowKey fragment(const IpHeader& ip, const Transport& t) {
  // The protocol is no part of an identification in IPv6, and a later fragment may not know it.
  return {ip.destination, ip.source, ip.version == 4 ? t.protocol : uint8_t{0}, static_cast<uint16_t>(t.fragment_id >> 16),
          static_cast<uint16_t>(t.fragment_id)};
}

uint32_t seconds(uint64_t ms) { return static_cast<uint32_t>(ms / 1000); }

}  // namespace

Filter::Filter(const FilterRules& rules, const PrefixTable* owners, std::shared_ptr<Memory> memory, uint16_t generation)
    : allow_others_(rules.allow_others), generation_(generation), memory_(std::move(memory)) {
  for (const FilterRule& rule : rules.rules) {
    const auto first_source = static_cast<uint32_t>(sources_.size()), first_service = static_cast<uint32_t>(services_.size());
    for (const Prefix& p : rule.sources) {
      // Not who has the way to it: a rule for a host behind a peer, or behind an exit node, is not for that peer.
      const bool host = p.length == p.address.bits();
      sources_.push_back({p, owners && host ? owners->find_exact(p) : nullptr});
    }
    services_.insert(services_.end(), rule.services.begin(), rule.services.end());
    rules_.push_back({rule.allow, rule.anybody, first_source, static_cast<uint32_t>(sources_.size()), first_service,
                      static_cast<uint32_t>(services_.size())});
  }
}

bool Filter::comes_from(const Rule& rule, const Address& source, const Peer* peer) const noexcept {
  if (rule.anybody) return true;
  for (uint32_t i = rule.first_source; i < rule.last_source; i++) {
    const Source& s = sources_[i];
    if ((s.peer && s.peer == peer) || contains(s.prefix, source)) return true;
  }
  return false;
}

Filter::Verdict Filter::judge(const Address& source, const Peer* peer, const Transport& t) const noexcept {
  const bool later = t.part == Transport::Part::later;
  for (const Rule& rule : rules_) {
    const Verdict verdict = rule.allow ? Verdict::allow : Verdict::deny;
    if (!comes_from(rule, source, peer)) continue;
    if (rule.first_service == rule.last_service) return verdict;
    for (uint32_t i = rule.first_service; i < rule.last_service; i++) {
      const FilterService& s = services_[i];
      if (later && t.protocol == Transport::kUnknown) return Verdict::unclear;
      if (!is_of(s.protocol, t.protocol, source.family)) continue;
      if (s.protocol == FilterService::Protocol::icmp || (s.first == 0 && s.last == 65535)) return verdict;
      if (later) return Verdict::unclear;
      if (s.first <= t.to && t.to <= s.last) return verdict;
    }
  }
  return allow_others_ ? Verdict::allow : Verdict::deny;
}

bool Filter::passes(View packet, const IpHeader& ip, const Peer* peer, uint64_t now_ms) const noexcept {
  Transport t;
  if (!read_transport(packet, t)) return false;
  const uint32_t now = seconds(now_ms);
  const bool allowed = judge(ip.source, peer, t) == Verdict::allow;
  if (t.part == Transport::Part::later) return allowed || memory_->fragments.has(fragment(ip, t), generation_, now);
  if (!allowed && !answers(packet, ip, peer, t, now)) return false;
  if (t.part == Transport::Part::first) memory_->fragments.open(fragment(ip, t), FlowKind::fragment, generation_, now);
  return true;
}

bool Filter::answers(View packet, const IpHeader& ip, const Peer* peer, const Transport& t, uint32_t now) const noexcept {
  FlowTable& flows = memory_->flows;
  switch (kind_of(t.protocol)) {
    // Who opens a connection does not answer, even where this host has opened one before.
    case FlowKind::tcp: return !t.opens && flows.refresh(incoming(ip, t), generation_, now);
    case FlowKind::icmp:
      if (is_icmp_error(t)) return concerns(packet.subspan(t.at + 8), ip.destination, peer, now);
      return is_echo_reply(t) && flows.has(incoming(ip, t), generation_, now);
    // Not refreshed: a peer could hold it open for ever.
    default: return flows.has(incoming(ip, t), generation_, now);
  }
}

// Whether an ICMP error is about a packet that this host sent in a flow of its own, or in one that the rules let in.
bool Filter::concerns(View quoted, const Address& receiver, const Peer* peer, uint32_t now) const noexcept {
  IpHeader ip;
  Transport t;
  if (!read_quoted(quoted, ip, t) || ip.source != receiver || t.part == Transport::Part::later) return false;
  if (memory_->flows.has(outgoing(ip, t), generation_, now)) return true;
  // No error answers an error; what the host answers an echo with is in no flow.
  if (t.protocol == kIcmp || t.protocol == kIcmpV6) return false;
  std::swap(t.from, t.to);
  return judge(ip.destination, peer, t) == Verdict::allow;
}

void Filter::sent(View packet, const IpHeader& ip, const Peer* peer, uint64_t now_ms) const noexcept {
  Transport t;
  if (!read_transport(packet, t) || t.part == Transport::Part::later) return;
  const uint32_t now = seconds(now_ms);
  const FlowKind kind = kind_of(t.protocol);
  FlowTable& flows = memory_->flows;
  const FlowKey key = outgoing(ip, t);
  if (kind == FlowKind::icmp && !is_echo_request(t)) return;
  // What is not the beginning of a connection may belong to one that a peer has opened, and for which the rules hold.
  if (kind == FlowKind::tcp && !t.opens && now >= memory_->pick_up_until) {
    flows.refresh(key, generation_, now);
    return;
  }
  if (kind != FlowKind::tcp) {
    if (flows.refresh(key, generation_, now)) return;
    // What the rules let in needs no room: a peer that this host answers could fill it. (TCP outlives the rules.)
    std::swap(t.from, t.to);
    if (judge(ip.destination, peer, t) == Verdict::allow) return;
  }
  flows.open(key, kind, generation_, now);
}

}  // namespace vpnd
