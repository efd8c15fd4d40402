// Peers, the part that asks peers for signs of life.
#include <algorithm>

#include "control_message.h"
#include "peers.h"

namespace vpnd {

namespace {
constexpr uint64_t kRetryMs = 1'000;           // between probes while a peer does not answer
constexpr uint64_t kDoubtMs = 500;             // between quick probes after a punch
constexpr unsigned kDoubtProbes = 3;
constexpr size_t kMaxPings = 16;
// Far below what AES-GCM bears under one key at packet size.
constexpr uint64_t kRekeyRecords = uint64_t{1} << 28;
}  // namespace

void Peers::probe(uint32_t id, uint64_t generation) {
  Entry* e = entry(id);
  if (!e || e->probe_generation != generation) return;
  Session* session = e->peer->session.load();
  if (!session) return;
  const uint64_t now = now_ms();
  // Only answers count: on a path that is broken one way the peer's own records still arrive.
  const uint64_t answered_ms = std::max(e->answered_ms, e->peer->handshake_ms.load());
  const uint64_t quiet_ms = now > answered_ms ? now - answered_ms : 0;
  if (quiet_ms > dead_after_ms_ && !e->silent) {
    e->silent = true;
    dataplane_.events.push(event(Event::Type::silent, *e->peer));
  }
  if (!e->rekey_announced && session->state->tx_sequence.load() > kRekeyRecords) {
    e->rekey_announced = true;
    dataplane_.events.push(event(Event::Type::rekey_due, *e->peer));
  }
  send_ping(*e, random_token(), false);
  run_path_mtu(id);
  const bool late = quiet_ms > ping_interval_ms_ + kRetryMs && !e->silent;
  timers_.after(late ? std::min<uint64_t>(kRetryMs, ping_interval_ms_) : ping_interval_ms_,
                [this, id, generation] { probe(id, generation); });
}

void Peers::on_punch(const Endpoint& from) {
  for (auto& [id, e] : entries_) {
    if (e.silent || e.doubt != 0 || !e.peer->session.load() || *e.peer->path.load() != from) continue;
    e.doubt = ++generation_;
    e.doubt_probes = 0;
    doubt(id, e.doubt);
  }
}

// A punch is easily forged, so it costs some probes and nothing else: who answers one of them is there.
void Peers::doubt(uint32_t id, uint64_t number) {
  Entry* e = entry(id);
  if (!e || e->doubt != number) return;
  if (e->doubt_probes == kDoubtProbes) {
    e->doubt = 0;
    if (e->silent) return;
    e->silent = true;
    dataplane_.events.push(event(Event::Type::silent, *e->peer));
    return;
  }
  e->doubt_probes++;
  send_ping(*e, random_token(), false);
  const uint64_t round_trips_ms = 2 * e->peer->rtt_ns.load() / 1'000'000;
  timers_.after(std::max(kDoubtMs, round_trips_ms), [this, id, number] { doubt(id, number); });
}

void Peers::answered(Entry& e) {
  e.answered_ms = now_ms();
  e.doubt = 0;
  if (!e.silent) return;
  e.silent = false;
  dataplane_.events.push(event(Event::Type::alive, *e.peer));
}

void Peers::send_ping(Entry& e, uint64_t token, bool asked) {
  Session* session = e.peer->session.load();
  const Endpoint* to = e.peer->path.load();
  if (!session || !to) return;
  if (e.pings.size() == kMaxPings) e.pings.pop_front();
  e.pings.push_back({token, now_ns(), asked});
  send(*session, *to, encode_token(ControlType::ping, token));
}

void Peers::ping(uint32_t id, uint64_t token) {
  if (Entry* e = entry(id)) send_ping(*e, token, true);
}

void Peers::on_pong(Entry& e, uint64_t token) {
  const auto sent = std::find_if(e.pings.begin(), e.pings.end(), [&](const SentPing& p) { return p.token == token; });
  if (sent == e.pings.end()) return;
  answered(e);
  const uint64_t rtt = now_ns() - sent->sent_ns;
  const uint64_t old = e.peer->rtt_ns.load();
  e.peer->rtt_ns.store(old == 0 ? rtt : (old * 7 + rtt) / 8);
  if (sent->asked) {
    Event pong = event(Event::Type::pong, *e.peer);
    pong.token = token;
    pong.rtt_ns = rtt;
    dataplane_.events.push(std::move(pong));
  }
  e.pings.erase(sent);
}

}  // namespace vpnd
