#include "handshakes.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>

#include "ip_packet.h"
#include "record.h"
#include "tun.h"

namespace vpnd {

namespace {

constexpr uint64_t kHandshakeMs = 10'000;    // from the first flight to a session
constexpr uint64_t kLingerMs = 10'000;       // an established association answers repetitions
constexpr uint64_t kClosingMs = 3'000;
constexpr uint64_t kForeignWaitMs = 60'000;  // until somebody knows whose association it is
constexpr uint64_t kFirstHelloMs = 250;
constexpr unsigned kMaxHelloTries = 5;
constexpr unsigned kUnansweredMeansWrong = 3;
constexpr uint64_t kSourceEventMs = 1'000;
constexpr size_t kMaxNewcomersOfPort = 4;

constexpr uint8_t kAlert = 21;
constexpr uint8_t kHandshake = 22;
constexpr uint8_t kDecryptError = 51;

constexpr size_t kDtlsHeader = 13;
constexpr char kDataExporter[] = "EXPORTER-vpnd-data";

// What the first record of a datagram is. False: not a DTLS 1.2 record.
struct FirstRecord {
  uint8_t type;
  uint16_t epoch;
};
bool first_record(View datagram, FirstRecord& out) {
  if (datagram.size() < kDtlsHeader || datagram[1] != 0xfe || datagram.size() - kDtlsHeader < load16(&datagram[11])) return false;
  out = {datagram[0], load16(&datagram[3])};
  return true;
}

// Whether a plain handshake message is one that only DTLS clients send: ClientHello, ClientKeyExchange.
bool from_client(View datagram) {
  return datagram.size() > kDtlsHeader && (datagram[kDtlsHeader] == 1 || datagram[kDtlsHeader] == 16);
}

// True when any record of the datagram is a protected handshake message, that is, a Finished.
bool holds_finished(View datagram) {
  while (datagram.size() >= kDtlsHeader) {
    if (datagram[0] == kHandshake && load16(&datagram[3]) > 0) return true;
    const size_t size = kDtlsHeader + load16(&datagram[11]);
    if (size > datagram.size()) return false;
    datagram = datagram.subspan(size);
  }
  return false;
}

// A probe asks from another port each time.
Endpoint probe_place(const Endpoint& from) { return {from.address, 0}; }

uint64_t random_seed() {
  uint64_t seed = 0;
  RAND_bytes(reinterpret_cast<uint8_t*>(&seed), sizeof seed);
  return seed;
}

bool half_open(Association::State state) {
  return state == Association::State::handshake || state == Association::State::hello;
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

// --- commands ---------------------------------------------------------------------------------------------------

void Handshakes::connect(uint32_t tag, const Endpoint& to, uint32_t epoch) {
  auto dtls = Dtls::client(*context_, epoch);
  if (!dtls) {
    Event e;
    e.type = Event::Type::failed;
    e.tag = tag;
    e.endpoint = to.text();
    e.reason = static_cast<uint8_t>(Failure::overload);
    dataplane_.events.push(std::move(e));
    return;
  }
  advance(add(to, Role::client, tag, std::move(dtls)), {});
}

void Handshakes::abort(uint32_t tag) {
  for (auto& [id, a] : all_) {
    if (a.tag == tag && tag != 0 && half_open(a.state)) {
      fail(a, Failure::aborted);
      return;
    }
  }
}

void Handshakes::admit(uint32_t assoc, uint32_t peer_id) {
  Association* a = find(assoc);
  Peer* peer = peers_.find(peer_id);
  if (!a || !peer) return;
  if (a->state == State::foreign_waiting) {
    admit_foreign(*a, peer_id);
    return;
  }
  if (a->state != State::hello || !a->theirs) return;
  const auto cipher = a->role == Role::client ? choose_cipher(cipher_preference(), a->theirs->ciphers)
                                              : choose_cipher(a->theirs->ciphers, cipher_preference());
  if (!cipher) {
    refuse(assoc, static_cast<uint8_t>(Refusal::no_cipher));
    return;
  }
  if (!prepare_session(*a, *cipher, peer)) {
    fail(*a, Failure::overload);
    return;
  }
  a->peer = peer_id;
  a->state = State::admitted;
  a->dtls->write(encode_ack(a->theirs->rx_index));
  flush(*a);
  if (a->acked) establish(*a);
}

void Handshakes::refuse(uint32_t assoc, uint8_t reason) {
  Association* a = find(assoc);
  if (!a || (a->state != State::hello && a->state != State::foreign_waiting)) return;
  if (a->state == State::hello) a->dtls->write(encode_refuse(reason));
  flush(*a);
  a->dtls->close_notify();
  flush(*a);
  a->refusal = reason;
  // Who dialled need not wait for the association to fade away.
  const bool forged = reason == static_cast<uint8_t>(Refusal::signature) && !a->theirs;
  if (a->tag != 0 || forged) {
    Event e = event(Event::Type::failed, *a);
    e.reason = static_cast<uint8_t>(forged ? Failure::signature : Failure::aborted);
    dataplane_.events.push(std::move(e));
  }
  linger(*a, State::closing, kClosingMs);
}

void Handshakes::drop_peer(uint32_t peer) {
  std::vector<uint32_t> ids;
  for (const auto& [id, a] : all_) {
    if (a.peer == peer) ids.push_back(id);
  }
  for (const uint32_t id : ids) {
    Association& a = *find(id);
    if (a.state == State::foreign_up) {
      a.dtls->close_notify();
      flush(a);
      peers_.end_foreign(peer);
    }
    erase(id);
  }
}

void Handshakes::close_all() {
  for (auto& [id, a] : all_) {
    if (a.state != State::foreign_up && a.state != State::foreign_waiting) continue;
    a.dtls->close_notify();
    flush(a);
  }
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
        } else if (half_open(a.state) || a.state == State::admitted) {
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

bool Handshakes::on_message(Association& a, View message) {
  switch (a.state) {
    case State::foreign_waiting:
    case State::foreign_up:
      on_foreign_packet(a, message);
      return true;
    case State::closing:
      // A repeated HELLO means that our REFUSE was lost.
      if (a.refusal && !message.empty() && message[0] == static_cast<uint8_t>(HelloType::hello)) {
        a.dtls->write(encode_refuse(a.refusal));
      }
      return true;
    default:
      break;
  }
  if (message.empty()) return true;
  switch (static_cast<HelloType>(message[0])) {
    case HelloType::hello:
      return on_hello(a, message);
    case HelloType::ack:
      if (decode_ack(message) == a.rx_index && a.rx_index != 0) {
        a.acked = true;
        if (a.state == State::admitted) establish(a);
      }
      return true;
    case HelloType::refuse:
      if (const auto reason = decode_refuse(message); reason && a.state != State::established) {
        fail(a, Failure::refused, *reason);
        return false;
      }
      return true;
  }
  dataplane_.drops.add(Drop::hello_malformed);
  return true;
}

// --- HELLO ------------------------------------------------------------------------------------------------------

bool Handshakes::begin_hello(Association& a) {
  a.state = State::hello;
  a.exporter.resize(kExporterSize);
  const Epoch* epoch = identity_.find_epoch(a.dtls->epoch());
  if (!epoch) {
    // Given up while the handshake ran.
    fail(a, Failure::wrong_psk);
    return false;
  }
  SessionState* state = dataplane_.sessions.take();
  if (!state || !a.dtls->export_key(kHelloExporter, {}, false, a.exporter.data(), a.exporter.size())) {
    if (state) dataplane_.sessions.give_back(state);
    fail(a, Failure::overload);
    return false;
  }
  a.session = new Session();
  a.session->state = state;
  a.session->rx_index = state->rx_index;
  a.session->assoc = a.id;
  a.rx_index = state->rx_index;
  Hello hello;
  hello.rx_index = state->rx_index;
  hello.ciphers = cipher_preference();
  hello.record = epoch->record;
  a.hello = encode_hello(hello, *node_key_, {a.role, epoch->network_id, a.exporter});
  send_hello(a);
  return true;
}

void Handshakes::send_hello(Association& a) {
  a.dtls->write(a.hello);
  flush(a);
  if (a.hello_tries++ == kMaxHelloTries) return;
  timers_.after(kFirstHelloMs << (a.hello_tries - 1), [this, id = a.id] {
    Association* again = find(id);
    if (again && !again->acked && (again->state == State::hello || again->state == State::admitted)) send_hello(*again);
  });
}

bool Handshakes::on_hello(Association& a, View message) {
  if (a.state == State::admitted || a.state == State::established) {
    if (a.theirs) a.dtls->write(encode_ack(a.theirs->rx_index));
    return true;
  }
  if (a.theirs) return true;  // TypeScript is deciding
  const Epoch* epoch = identity_.find_epoch(a.dtls->epoch());
  if (!epoch) {
    fail(a, Failure::wrong_psk);
    return false;
  }
  const Role signer = a.role == Role::client ? Role::server : Role::client;
  HelloError error;
  a.theirs = decode_hello(message, {signer, epoch->network_id, a.exporter}, error);
  if (!a.theirs) {
    dataplane_.drops.add(Drop::hello_malformed);
    if (error == HelloError::version) refuse(a.id, static_cast<uint8_t>(Refusal::version));
    if (error == HelloError::signature) refuse(a.id, static_cast<uint8_t>(Refusal::signature));
    return true;
  }
  Event e = event(Event::Type::hello, a);
  e.node_key.assign(a.theirs->node_key.begin(), a.theirs->node_key.end());
  e.data = a.theirs->record;
  e.capabilities = a.theirs->capabilities;
  dataplane_.events.push(std::move(e));
  return true;
}

bool Handshakes::prepare_session(Association& a, Cipher cipher, Peer* peer) {
  Session& s = *a.session;
  SessionState& state = *s.state;
  const uint8_t number = static_cast<uint8_t>(cipher);
  uint8_t keys[2 * kMaxKeySize + 2 * kNonceSize];
  if (!a.dtls->export_key(kDataExporter, {&number, 1}, true, keys, sizeof keys)) return false;
  const bool client = a.role == Role::client;
  const uint8_t* iv = keys + 2 * kMaxKeySize;
  memcpy(state.tx_key, keys + (client ? 0 : kMaxKeySize), kMaxKeySize);
  memcpy(state.rx_key, keys + (client ? kMaxKeySize : 0), kMaxKeySize);
  memcpy(state.tx_iv, iv + (client ? 0 : kNonceSize), kNonceSize);
  memcpy(state.rx_iv, iv + (client ? kNonceSize : 0), kNonceSize);
  OPENSSL_cleanse(keys, sizeof keys);
  state.tx_index = a.theirs->rx_index;
  state.cipher = number;
  state.role = static_cast<uint8_t>(a.role);
  s.tx_index = state.tx_index;
  s.cipher = cipher;
  s.peer = peer;
  s.seal_inside = Aead::make(cipher, state.tx_key, Aead::Direction::seal);
  s.seal_control = Aead::make(cipher, state.tx_key, Aead::Direction::seal);
  s.open_outside = Aead::make(cipher, state.rx_key, Aead::Direction::open);
  if (!s.seal_inside || !s.seal_control || !s.open_outside) return false;
  pending_[s.rx_index] = a.id;
  dataplane_.sessions.publish(&s);
  return true;
}

void Handshakes::on_confirmed(uint32_t rx_index) {
  const auto it = pending_.find(rx_index);
  if (it == pending_.end()) return;
  Association* a = find(it->second);
  if (!a) return;
  a->acked = true;
  if (a->state == State::admitted) establish(*a);
}

void Handshakes::establish(Association& a) {
  Session* session = std::exchange(a.session, nullptr);
  pending_.erase(a.rx_index);
  // The peer may have been a Badger until now.
  if (const auto f = foreign_.find(a.peer); f != foreign_.end()) erase(f->second);
  Event e = event(Event::Type::up, a);
  e.peer = a.peer;
  e.cipher = static_cast<uint8_t>(session->cipher);
  linger(a, State::established, kLingerMs);
  if (peers_.install(a.peer, session, a.remote, e.rekey)) dataplane_.events.push(std::move(e));
}

// --- foreign peers ----------------------------------------------------------------------------------------------

void Handshakes::admit_foreign(Association& a, uint32_t peer) {
  Event e = event(Event::Type::up, a);
  e.peer = peer;
  e.foreign = true;
  const auto old = foreign_.find(peer);
  if (old != foreign_.end()) {
    e.rekey = true;
    Association* before = find(old->second);
    if (before && before->remote != a.remote) {
      before->dtls->close_notify();
      flush(*before);
    }
    erase(old->second);
  }
  a.peer = peer;
  a.state = State::foreign_up;
  foreign_[peer] = a.id;
  peers_.install_foreign(peer, a.remote);
  dataplane_.events.push(std::move(e));
}

void Handshakes::on_foreign_packet(Association& a, View packet) {
  IpHeader header;
  if (!parse_ip(packet, header)) {
    dataplane_.drops.add(Drop::malformed_inner);
    return;
  }
  if (a.state == State::foreign_waiting) {
    dataplane_.drops.add(Drop::foreign_source);
    if (now_ms() < a.next_source_event_ms) return;
    a.next_source_event_ms = now_ms() + kSourceEventMs;
    Event e = event(Event::Type::foreign, a);
    e.inner_source = header.source.text();
    dataplane_.events.push(std::move(e));
    return;
  }
  Peer* peer = peers_.find(a.peer);
  // The control thread is the only one that replaces the table, so it may read without a section.
  if (!peer || dataplane_.routes.load()->find(header.source) != peer) {
    dataplane_.drops.add(Drop::foreign_source);
    return;
  }
  peer->last_rx_ms.store(coarse_ms(), std::memory_order_relaxed);
  peer->rx.add(packet.size());
  dataplane_.rx.add(packet.size());
  if (write_tun(dataplane_.tun_fd, packet) != 0) dataplane_.drops.add(Drop::tun_error);
}

void Handshakes::send_foreign(uint32_t peer_id, View packet) {
  const auto it = foreign_.find(peer_id);
  Association* a = it == foreign_.end() ? nullptr : find(it->second);
  Peer* peer = peers_.find(peer_id);
  if (!a || !peer || !a->dtls->write(packet)) {
    dataplane_.drops.add(Drop::no_session);
    return;
  }
  peer->last_tx_ms.store(coarse_ms(), std::memory_order_relaxed);
  peer->tx.add(packet.size());
  dataplane_.tx.add(packet.size());
  flush(*a);
}

// --- output and time --------------------------------------------------------------------------------------------

void Handshakes::flush(Association& a) {
  for (const Bytes& datagram : a.dtls->take_output()) {
    if (!dataplane_.sockets.send(a.remote, datagram)) dataplane_.drops.add(Drop::send_error);
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
