// Handshakes, the part between Finished and a session: HELLO, ACK and REFUSE.
#include <openssl/crypto.h>

#include "handshakes.h"

namespace vpnd {

namespace {
constexpr uint64_t kLingerMs = 10'000;  // an established association answers repetitions
constexpr uint64_t kFirstHelloMs = 250;
constexpr unsigned kMaxHelloTries = 5;
constexpr char kDataExporter[] = "EXPORTER-vpnd-data";
}  // namespace

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
  hello.capabilities = kAnswersMtuProbes;
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
  if (!s.make_ciphers(dataplane_.lanes)) return false;
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
  if (peers_.install(a.peer, session, a.remote, (a.theirs->capabilities & kAnswersMtuProbes) != 0, e.rekey)) dataplane_.events.push(std::move(e));
}

}  // namespace vpnd
