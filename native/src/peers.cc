#include "peers.h"

#include <openssl/rand.h>

#include <algorithm>

#include "control_message.h"
#include "record.h"

namespace vpnd {

namespace {

constexpr uint64_t kDrainMs = 10'000;

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
  const auto* table = new PrefixTable(all);
  publish_filter(*table);
  const PrefixTable* old = dataplane_.routes.exchange(table, std::memory_order_acq_rel);
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
