// Handshakes, the part that the mesh asks for: whom to dial, admit and refuse.
#include "handshakes.h"

namespace vpnd {

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
    if (a.tag == tag && tag != 0 && half_open(a)) {
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

}  // namespace vpnd
