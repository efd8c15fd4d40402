// Handshakes, the part for peers that are not vpnd: packets as DTLS application data, and nothing else.
#include "handshakes.h"
#include "ip_packet.h"
#include "tun.h"

namespace vpnd {

namespace {
constexpr uint64_t kSourceEventMs = 1'000;
}  // namespace

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
  // The control thread replaces this too.
  const Filter* filter = dataplane_.filter.load();
  if (filter && !filter->passes(packet, header, peer, coarse_ms())) {
    dataplane_.drops.add(Drop::filtered);
    return;
  }
  peer->rx.add(packet.size());
  dataplane_.rx.add(packet.size());
  if (dataplane_.tun.write(packet) != 0) dataplane_.drops.add(Drop::tun_error);
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

}  // namespace vpnd
