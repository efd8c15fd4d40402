#include "peers.h"

#include <openssl/rand.h>

#include <algorithm>

#include "control_message.h"
#include "record.h"

namespace vpnd {

namespace {

constexpr uint64_t kDrainMs = 10'000;
constexpr uint64_t kRetryMs = 1'000;           // between probes while a peer does not answer
constexpr uint64_t kDoubtMs = 500;             // between quick probes after a punch
constexpr unsigned kDoubtProbes = 3;
constexpr uint64_t kChallengeIntervalMs = 200;
constexpr size_t kMaxPings = 16;
constexpr double kControlPerSecond = 100;
constexpr double kControlBurst = 200;
// Far below what AES-GCM bears under one key at packet size.
constexpr uint64_t kRekeyRecords = uint64_t{1} << 28;

}  // namespace

uint64_t random_token() {
  uint64_t token = 0;
  RAND_bytes(reinterpret_cast<uint8_t*>(&token), sizeof token);
  return token;
}

Peers::Peers(Dataplane& dataplane, Timers& timers, unsigned ping_interval_ms, unsigned dead_after_ms)
    : dataplane_(dataplane), timers_(timers), ping_interval_ms_(ping_interval_ms), dead_after_ms_(dead_after_ms) {}

Peers::~Peers() {
  // Packet threads have ended: nothing is read any more.
  for (auto& [id, e] : entries_) {
    if (Session* s = e.peer->session.load()) end_session(s);
    for (const uint32_t index : std::exchange(e.draining, {})) {
      if (Session* s = dataplane_.sessions.find(index)) end_session(s);
    }
  }
  for (auto& [id, e] : entries_) delete e.peer->path.load();
  dataplane_.reclaimer.collect();
}

Peers::Entry* Peers::entry(uint32_t id) {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : &it->second;
}

Peer* Peers::find(uint32_t id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : it->second.peer.get();
}

Event Peers::event(Event::Type type, const Peer& peer) const {
  Event e;
  e.type = type;
  e.peer = peer.id;
  return e;
}

void Peers::set(uint32_t id, std::vector<Prefix> prefixes) {
  const std::lock_guard lock(mutex_);
  entries_.try_emplace(id, id, dataplane_.mtu).first->second.prefixes = std::move(prefixes);
  routes_changed_ = true;
}

void Peers::publish_routes() {
  if (!routes_changed_) return;
  routes_changed_ = false;
  std::vector<PrefixTable::Entry> all;
  for (const auto& [id, e] : entries_) {
    for (const Prefix& p : e.prefixes) all.push_back({p, e.peer.get()});
  }
  const PrefixTable* old = dataplane_.routes.exchange(new PrefixTable(all), std::memory_order_acq_rel);
  dataplane_.reclaimer.retire([old] { delete old; });
}

void Peers::close(uint32_t id, CloseReason reason) {
  Entry* e = entry(id);
  if (!e) return;
  if (Session* s = e->peer->session.load(); s) {
    const uint8_t message[] = {static_cast<uint8_t>(ControlType::close), static_cast<uint8_t>(reason)};
    send(*s, *e->peer->path.load(), message);
    end_session(s);
  }
  for (const uint32_t index : std::exchange(e->draining, {})) {
    if (Session* s = dataplane_.sessions.find(index)) end_session(s);
  }
  e->peer->foreign.store(false);
  stop_path_mtu(*e);
  e->probe_generation = 0;
  e->silent = false;
  e->doubt = 0;
}

void Peers::close_all() {
  for (auto& [id, e] : entries_) close(id, CloseReason::stop);
}

void Peers::remove(uint32_t id, CloseReason reason) {
  Entry* e = entry(id);
  if (!e) return;
  close(id, reason);
  e->prefixes.clear();
  routes_changed_ = true;
  publish_routes();
  Peer* peer;
  {
    const std::lock_guard lock(mutex_);
    peer = e->peer.release();
    entries_.erase(id);
  }
  dataplane_.reclaimer.retire([peer] {
    delete peer->path.load();
    delete peer;
  });
}

void Peers::set_path(Entry& e, const Endpoint& to) {
  const Endpoint* old;
  {
    const std::lock_guard lock(mutex_);  // info() reads it
    old = e.peer->path.exchange(new Endpoint(to), std::memory_order_acq_rel);
  }
  if (old) dataplane_.reclaimer.retire([old] { delete old; });
}

bool Peers::install(uint32_t id, Session* session, const Endpoint& to, bool answers_mtu, bool& rekey) {
  Entry* e = entry(id);
  if (!e) {
    end_session(session);
    return false;
  }
  Peer& peer = *e->peer;
  const Endpoint* former = peer.path.load();
  const bool same_path = former && *former == to;
  set_path(*e, to);
  peer.handshake_ms.store(now_ms());
  peer.cipher.store(static_cast<uint8_t>(session->cipher));
  peer.foreign.store(false);
  Session* old = peer.session.exchange(session, std::memory_order_acq_rel);
  rekey = old != nullptr;
  if (old) {
    const uint32_t index = old->rx_index;
    e->draining.push_back(index);
    timers_.after(kDrainMs, [this, index] {
      if (Session* s = dataplane_.sessions.find(index)) end_session(s);
    });
  }
  if (!answers_mtu || !dataplane_.sockets.whole()) {
    stop_path_mtu(*e);
    peer.mtu.store(0);
  } else if (!rekey || !same_path) {
    start_path_mtu(*e, to);
  }
  e->silent = false;
  e->doubt = 0;
  e->rekey_announced = false;
  e->probe_generation = ++generation_;
  timers_.after(50, [this, id, generation = generation_] { probe(id, generation); });
  return true;
}

void Peers::install_foreign(uint32_t id, const Endpoint& to) {
  Entry* e = entry(id);
  if (!e) return;
  if (Session* s = e->peer->session.load()) end_session(s);
  set_path(*e, to);
  stop_path_mtu(*e);
  e->peer->mtu.store(0);
  e->peer->handshake_ms.store(now_ms());
  e->peer->cipher.store(0);
  e->peer->foreign.store(true, std::memory_order_release);
  e->probe_generation = 0;
  e->doubt = 0;
}

void Peers::end_foreign(uint32_t id) {
  if (Entry* e = entry(id)) e->peer->foreign.store(false);
}

void Peers::end_session(Session* session) {
  dataplane_.sessions.unpublish(session->rx_index);
  if (Peer* peer = session->peer) {
    Session* expected = session;
    peer->session.compare_exchange_strong(expected, nullptr);
    if (Entry* e = entry(peer->id)) std::erase(e->draining, session->rx_index);
  }
  dataplane_.reclaimer.retire([this, session] {
    dataplane_.sessions.give_back(session->state);
    delete session;
  });
}

bool Peers::send(Session& session, const Endpoint& to, View message) {
  uint8_t record[kRecordOverhead + kMaxControlMessage];
  if (message.size() > kMaxControlMessage) return false;
  uint8_t* inner = record + kRecordHeader;
  memcpy(inner, message.data(), message.size());
  const size_t size = seal_record(session, kControlLane, inner, message.size(), record);
  return size != 0 && dataplane_.sockets.send(to, {record, size});
}

// --- probes -----------------------------------------------------------------------------------------------------

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

// --- control messages -------------------------------------------------------------------------------------------

bool Peers::within_budget(Entry& e) {
  const uint64_t now = now_ms();
  const double earned = static_cast<double>(now - e.control_budget_ms) * kControlPerSecond / 1000;
  e.control_budget = std::min(kControlBurst, e.control_budget + earned);
  e.control_budget_ms = now;
  if (e.control_budget < 1) return false;
  e.control_budget -= 1;
  return true;
}

void Peers::on_control(const Mail& mail) {
  Session* session = dataplane_.sessions.find(mail.rx_index);
  if (!session || !session->peer || mail.data.empty()) return;
  Entry* e = entry(session->peer->id);
  if (!e) return;
  if (!within_budget(*e)) {
    dataplane_.drops.add(Drop::control_rate);
    return;
  }
  const std::optional<uint64_t> token = decode_token(mail.data);
  switch (static_cast<ControlType>(mail.data[0])) {
    case ControlType::ping:
      if (token) send(*session, mail.from, encode_token(ControlType::pong, *token));
      return;
    case ControlType::pong:
      if (token) on_pong(*e, *token);
      return;
    case ControlType::path_challenge:
      if (token) send(*session, mail.from, encode_token(ControlType::path_response, *token));
      return;
    case ControlType::path_response:
      if (token) on_path_response(*e, mail.from, *token);
      return;
    case ControlType::mtu_probe:
      if (const auto asked = decode_mtu_probe(mail.data)) {
        send(*session, mail.from, encode_mtu_answer(*asked, mail.data.size()));
      }
      return;
    case ControlType::mtu_answer:
      on_mtu_answer(*e, mail.data);
      return;
    case ControlType::close:
      on_close(*e, *session, mail.data);
      return;
  }
  Event other = event(Event::Type::control, *e->peer);
  other.data.assign(mail.data.begin(), mail.data.end());
  dataplane_.events.push(std::move(other));
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

void Peers::on_roam(const Mail& mail) {
  Session* session = dataplane_.sessions.find(mail.rx_index);
  if (!session || !session->peer) return;
  session->roam_pending.store(false);
  Entry* e = entry(session->peer->id);
  const uint64_t now = now_ms();
  // Only the session in use moves a path, and not more often than a round trip or two.
  if (!e || e->peer->session.load() != session || now < e->next_challenge_ms || *e->peer->path.load() == mail.from) return;
  e->next_challenge_ms = now + kChallengeIntervalMs;
  e->challenged = mail.from;
  e->challenge_token = random_token();
  send(*session, mail.from, encode_token(ControlType::path_challenge, e->challenge_token));
}

void Peers::on_path_response(Entry& e, const Endpoint& from, uint64_t token) {
  if (!e.challenged.valid() || e.challenged != from || e.challenge_token != token) return;
  e.challenged = {};
  set_path(e, from);
  if (e.path_mtu.running()) start_path_mtu(e, from);
  Event moved = event(Event::Type::path, *e.peer);
  moved.endpoint = from.text();
  dataplane_.events.push(std::move(moved));
}

void Peers::on_close(Entry& e, Session& session, View message) {
  const bool current = e.peer->session.load() == &session;
  Event closed = event(Event::Type::closed, *e.peer);
  closed.assoc = session.assoc;
  closed.reason = message.size() > 1 ? message[1] : 0;
  end_session(&session);
  if (!current) return;
  stop_path_mtu(e);
  e.probe_generation = 0;
  e.silent = false;
  e.doubt = 0;
  dataplane_.events.push(std::move(closed));
}

// --- for display ------------------------------------------------------------------------------------------------

std::optional<PeerInfo> Peers::info(uint32_t id) const {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(id);
  if (it == entries_.end()) return std::nullopt;
  const Peer& p = *it->second.peer;
  PeerInfo out;
  out.rx_bytes = p.rx.bytes.get();
  out.tx_bytes = p.tx.bytes.get();
  out.rx_packets = p.rx.packets.get();
  out.tx_packets = p.tx.packets.get();
  const uint64_t now = now_ms();
  const auto age = [&](uint64_t ms) { return now > ms ? static_cast<double>(now - ms) / 1000 : 0.0; };
  if (p.session.load()) {
    const uint32_t mtu = p.mtu.load();
    out.mtu = mtu == 0 ? static_cast<uint32_t>(dataplane_.mtu) : mtu;
  }
  if (const uint64_t rtt = p.rtt_ns.load()) out.rtt_seconds = static_cast<double>(rtt) / 1e9;
  if (const uint64_t ms = p.last_rx_ms.load()) out.idle_seconds = age(ms);
  if (const uint64_t ms = p.handshake_ms.load()) out.handshake_age_seconds = age(ms);
  if (const Endpoint* to = p.path.load()) out.endpoint = to->text();
  if (const auto cipher = cipher_from(p.cipher.load())) out.cipher = cipher_name(*cipher);
  if (p.foreign.load()) out.cipher = "PSK-AES128-GCM-SHA256";
  return out;
}

}  // namespace vpnd
