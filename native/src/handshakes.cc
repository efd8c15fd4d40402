#include "handshakes.h"

#include <openssl/rand.h>

#include <algorithm>

#include "dtls_datagram.h"

namespace vpnd {

namespace {

constexpr uint64_t kHandshakeMs = 10'000;    // from the first flight to a session
constexpr uint64_t kForeignWaitMs = 60'000;  // until somebody knows whose association it is
constexpr unsigned kUnansweredMeansWrong = 3;
constexpr size_t kMaxNewcomersOfPort = 4;

constexpr uint8_t kDecryptError = 51;

// A probe asks from another port each time.
Endpoint probe_place(const Endpoint& from) { return {from.address, 0}; }

uint64_t random_seed() {
  uint64_t seed = 0;
  RAND_bytes(reinterpret_cast<uint8_t*>(&seed), sizeof seed);
  return seed;
}

}  // namespace

Handshakes::Handshakes(Dataplane& dataplane, Timers& timers, Peers& peers, std::unique_ptr<DtlsContext> context, Identity identity)
    : dataplane_(dataplane), timers_(timers), peers_(peers), context_(std::move(context)), newcomers_(random_seed()) {
  set_identity(std::move(identity));
}

Handshakes::~Handshakes() {
  while (!all_.empty()) erase(all_.begin()->first);
}

void Handshakes::set_identity(Identity identity) {
  identity_ = std::move(identity);
  node_key_ = NodeKey::from_seed(identity_.node_seed);
  context_->set_identity(&identity_);
  guesses_.clear();
}

// --- bookkeeping ------------------------------------------------------------------------------------------------

Association* Handshakes::find(uint32_t id) {
  const auto it = all_.find(id);
  return it == all_.end() ? nullptr : &it->second;
}

Association& Handshakes::add(const Endpoint& remote, Role role, uint32_t tag, std::unique_ptr<Dtls> dtls) {
  const uint32_t id = next_id_++;
  Association& a = all_[id];
  a.id = id;
  a.tag = tag;
  a.role = role;
  a.remote = remote;
  a.dtls = std::move(dtls);
  by_remote_.emplace(remote, id);
  timers_.after(kHandshakeMs, [this, id] { on_deadline(id); });
  return a;
}

void Handshakes::erase(uint32_t id) {
  const auto it = all_.find(id);
  if (it == all_.end()) return;
  Association& a = it->second;
  if (a.role == Role::server) newcomers_.end(a.remote.address, id);
  if (a.session) peers_.end_session(a.session);
  if (a.rx_index) pending_.erase(a.rx_index);
  if (const auto f = foreign_.find(a.peer); f != foreign_.end() && f->second == id) foreign_.erase(f);
  const auto [begin, end] = by_remote_.equal_range(a.remote);
  for (auto i = begin; i != end; ++i) {
    if (i->second == id) {
      by_remote_.erase(i);
      break;
    }
  }
  all_.erase(it);
}

std::vector<uint32_t> Handshakes::at(const Endpoint& remote) const {
  std::vector<uint32_t> ids;
  const auto [begin, end] = by_remote_.equal_range(remote);
  for (auto i = begin; i != end; ++i) ids.push_back(i->second);
  std::sort(ids.rbegin(), ids.rend());
  return ids;
}

// A stranger with a good cookie: others may have to go for it.
void Handshakes::begin_newcomer(const Endpoint& from, std::unique_ptr<Dtls> dtls, const ClientRandom& random) {
  std::vector<uint32_t> before;
  for (const uint32_t id : at(from)) {
    const Association& other = *find(id);
    if (other.role == Role::server && other.state == State::handshake) before.push_back(id);
  }
  // Each datagram is tried with all of a port's handshakes, so there must be few.
  if (before.size() >= kMaxNewcomersOfPort) erase(before.back());
  dtls->set_guess(guesses_.next(from), guesses_.next(probe_place(from)));
  Association& a = add(from, Role::server, 0, std::move(dtls));
  a.client_random = random;
  if (const uint32_t leaves = newcomers_.begin(from.address, a.id, now_ms())) {
    dataplane_.drops.add(Drop::handshake_limit);
    erase(leaves);
  }
  advance(a, {});
}

Event Handshakes::event(Event::Type type, const Association& a) const {
  Event e;
  e.type = type;
  e.assoc = a.id;
  e.tag = a.tag;
  e.role = static_cast<uint8_t>(a.role);
  e.endpoint = a.remote.text();
  e.epoch = a.dtls->epoch();
  return e;
}

void Handshakes::fail(Association& a, Failure reason, uint8_t refusal) {
  // What strangers start and never finish is nobody's news.
  if (a.tag != 0 || reason == Failure::refused || (reason == Failure::wrong_psk && newsworthy(a))) {
    Event e = event(Event::Type::failed, a);
    e.reason = static_cast<uint8_t>(reason);
    e.refusal = refusal;
    e.alert = a.alert;
    dataplane_.events.push(std::move(e));
  }
  erase(a.id);
}

// Events have a queue that is shared with members'; strangers get a small share of it.
bool Handshakes::newsworthy(const Association& a) { return a.tag != 0 || stranger_events_.take(now_ms()); }

void Handshakes::linger(Association& a, State state, uint64_t ms) {
  a.state = state;
  timers_.after(ms, [this, id = a.id] { erase(id); });
}

// --- datagrams --------------------------------------------------------------------------------------------------

void Handshakes::on_datagram(const Endpoint& from, View datagram) {
  FirstRecord record;
  if (!first_record(datagram, record)) {
    dataplane_.drops.add(Drop::dtls_malformed);
    return;
  }
  if (record.epoch == 0 && record.type == kAlert) {
    on_plain_alert(from, datagram);
    return;
  }
  if (const auto random = client_hello_random(datagram)) {
    on_client_hello(from, datagram, *random);
    return;
  }
  bool known = false;
  // Plain handshake messages belong to the newest handshake under way; OpenSSL sorts out the rest by their keys.
  const bool plain = record.epoch == 0 && record.type == kHandshake;
  const Role receiver = plain && from_client(datagram) ? Role::server : Role::client;
  for (const uint32_t id : at(from)) {
    Association* a = find(id);
    if (!a || (plain && (a->state != State::handshake || a->role != receiver))) continue;
    known = true;
    advance(*a, datagram);
    if (plain) return;
  }
  if (!known) dataplane_.drops.add(Drop::dtls_unknown);
}

// Anybody can forge a plain alert, so it is never shown to OpenSSL: it explains a failure, and ends nothing.
void Handshakes::on_plain_alert(const Endpoint& from, View datagram) {
  if (datagram.size() < kDtlsHeader + 2) return dataplane_.drops.add(Drop::dtls_malformed);
  for (const uint32_t id : at(from)) {
    Association* a = find(id);
    if (!a || a->role != Role::client || a->state != State::handshake) continue;
    a->alert = datagram[kDtlsHeader + 1];
    if (a->alert == kDecryptError && a->dtls->awaits_finished()) hint_wrong_psk(*a);
    return;
  }
  dataplane_.drops.add(Drop::dtls_unknown);
}

void Handshakes::on_client_hello(const Endpoint& from, View datagram, const ClientRandom& random) {
  for (const uint32_t id : at(from)) {
    Association* a = find(id);
    if (a && a->role == Role::server && a->client_random == random) {
      advance(*a, datagram);
      return;
    }
  }
  // Asked before the cookie is looked at: what is good costs a connection.
  if (!newcomers_.welcome(from.address, now_ms())) {
    dataplane_.drops.add(Drop::handshake_limit);
    return;
  }
  Bytes reply;
  auto dtls = context_->listen(from, datagram, reply);
  if (!dtls) {
    dataplane_.drops.add(reply.empty() ? Drop::dtls_malformed : Drop::cookie_asked);
    if (!reply.empty()) dataplane_.sockets.send(from, reply);
    return;
  }
  begin_newcomer(from, std::move(dtls), random);
}

bool Handshakes::advance(Association& a, View datagram) {
  if (!datagram.empty()) a.dtls->feed(datagram);
  if (a.state == State::handshake && !step_handshake(a, datagram)) return false;
  if (a.state != State::handshake && !read_messages(a)) return false;
  flush(a);
  arm_timer(a);
  return true;
}

bool Handshakes::step_handshake(Association& a, View datagram) {
  switch (a.dtls->handshake()) {
    case Dtls::Status::done:
      flush(a);
      return finished(a);
    case Dtls::Status::working:
      if (a.role == Role::server && a.dtls->awaits_finished() && holds_finished(datagram)) {
        hint_wrong_psk(a);
        send_decrypt_error(a);
      }
      return true;
    case Dtls::Status::failed:
      break;
  }
  if (a.dtls->unknown_identity()) {
    hint_wrong_psk(a);
    send_decrypt_error(a);
    erase(a.id);
    return false;
  }
  flush(a);
  fail(a, a.wrong_psk ? Failure::wrong_psk : Failure::alert);
  return false;
}

void Handshakes::hint_wrong_psk(Association& a) {
  if (a.wrong_psk) return;
  a.wrong_psk = true;
  if (a.role == Role::server && a.dtls->guessed()) guesses_.failed(a.dtls->probe() ? probe_place(a.remote) : a.remote);
  if (newsworthy(a)) dataplane_.events.push(event(Event::Type::wrong_psk, a));
}

void Handshakes::send_decrypt_error(Association& a) {
  if (a.alert_sent) return;
  a.alert_sent = true;
  a.dtls->take_output();
  // A plain record with a sequence number above all that OpenSSL has used in epoch 0.
  const uint8_t alert[] = {kAlert, 0xfe, 0xfd, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 2, 2, kDecryptError};
  dataplane_.sockets.send(a.remote, alert);
}

bool Handshakes::finished(Association& a) {
  a.timer_generation = 0;
  if (a.role == Role::server) {
    newcomers_.succeed(a.remote.address);
    newcomers_.end(a.remote.address, a.id);
  }
  if (a.role == Role::server && a.dtls->guessed()) guesses_.succeeded(a.dtls->probe() ? probe_place(a.remote) : a.remote);
  if (a.dtls->foreign_suite()) {
    if (a.dtls->probe() || !identity_.badger) {
      a.dtls->close_notify();
      flush(a);
      linger(a, State::closing, kClosingMs);
      return true;
    }
    a.state = State::foreign_waiting;
    timers_.after(kForeignWaitMs, [this, id = a.id] {
      if (Association* waiting = find(id); waiting && waiting->state == State::foreign_waiting) refuse(id, 0);
    });
    dataplane_.events.push(event(Event::Type::foreign, a));
    return true;
  }
  if (!a.dtls->extended_master_secret()) {
    fail(a, Failure::alert);
    return false;
  }
  return begin_hello(a);
}

bool Handshakes::read_messages(Association& a) {
  Bytes message;
  for (;;) {
    switch (a.dtls->read(message)) {
      case Dtls::Read::none:
        return true;
      case Dtls::Read::closed:
        if (a.state == State::foreign_up) {
          Event e = event(Event::Type::closed, a);
          e.peer = a.peer;
          const auto f = foreign_.find(a.peer);
          if (f != foreign_.end() && f->second == a.id) {
            peers_.end_foreign(a.peer);
            dataplane_.events.push(std::move(e));
          }
          a.dtls->close_notify();
          flush(a);
        } else if (half_open(a) || a.state == State::admitted) {
          fail(a, Failure::alert);
          return false;
        }
        erase(a.id);
        return false;
      case Dtls::Read::data:
        if (!on_message(a, message)) return false;
    }
  }
}

// --- output and time --------------------------------------------------------------------------------------------

void Handshakes::flush(Association& a) {
  for (const Bytes& datagram : a.dtls->take_output()) {
    // A HELLO is larger than some paths carry in one piece, and what they carry is not known yet.
    if (!dataplane_.sockets.send_in_pieces(a.remote, datagram)) dataplane_.drops.add(Drop::send_error);
  }
}

void Handshakes::arm_timer(Association& a) {
  const auto ms = a.dtls->timeout_ms();
  if (!ms || a.state != State::handshake) return;
  a.timer_generation = ++generation_;
  timers_.after(*ms, [this, id = a.id, generation = generation_] { on_timer(id, generation); });
}

void Handshakes::on_timer(uint32_t id, uint64_t generation) {
  Association* a = find(id);
  if (!a || a->timer_generation != generation || a->state != State::handshake) return;
  if (a->role == Role::client && a->dtls->awaits_finished() && ++a->unanswered == kUnansweredMeansWrong) hint_wrong_psk(*a);
  a->dtls->on_timeout();
  flush(*a);
  arm_timer(*a);
}

void Handshakes::on_deadline(uint32_t id) {
  Association* a = find(id);
  if (!a) return;
  if (a->state == State::handshake) fail(*a, a->wrong_psk ? Failure::wrong_psk : Failure::timeout);
  else if (a->state == State::hello || a->state == State::admitted) fail(*a, Failure::hello_timeout);
}

}  // namespace vpnd
