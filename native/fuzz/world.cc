#include "world.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "input.h"
#include "record.h"

namespace vpnd::fuzz {

namespace {

constexpr size_t kMtu = 1400;
constexpr uint8_t kKeyByte = 0x42;

SessionState& remote_state() {
  static SessionState state{};
  return state;
}

}  // namespace

Plane::Plane() {
  int pair[2];
  EXPECT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
  tun_peer = pair[0];
  int udp = -1;
  uint16_t port = 0;
  EXPECT(make_socket({4, false, 0, "127.0.0.1", 0}, udp, port) == 0);
  endpoint = {*Address::parse("127.0.0.1"), port};
  const int wake_fd = eventfd(0, EFD_NONBLOCK);
  EXPECT(wake_fd >= 0);
  dataplane = std::make_unique<Dataplane>(open_queues({pair[1]}, UdpSockets(udp, -1, true), 1), kMtu, 2, wake_fd, [] {});
  EXPECT(dataplane->sessions.valid());
}

uint64_t Plane::dropped() const {
  uint64_t sum = 0;
  for (const Counter& counter : dataplane->drops.by_reason) sum += counter.get();
  return sum;
}

bool Plane::receive(Bytes& out) {
  out.resize(65536);
  const ssize_t n = recv(dataplane->sockets.fd4(), out.data(), out.size(), MSG_DONTWAIT);
  if (n < 0) return false;
  out.resize(static_cast<size_t>(n));
  out.shrink_to_fit();
  return true;
}

void Plane::clear() {
  Bytes ignored;
  while (receive(ignored)) {
  }
  while (recv(tun_peer, nullptr, 0, MSG_DONTWAIT) >= 0) {
  }
  Mail mail;
  for (Mailbox* box : {&dataplane->control_mail, &dataplane->handshake_mail, &dataplane->newcomer_mail}) {
    while (box->take(mail)) {
    }
  }
  dataplane->events.drain();
}

World::World() : dataplane(*plane.dataplane) {}

void World::fresh() {
  if (peers) {
    peers->remove(kPeer, CloseReason::removed);
    peers.reset();
  }
  plane.clear();
  timers = Timers();
  peers = std::make_unique<Peers>(dataplane, timers, 5000, 15000);
  peers->set(kPeer, {*Prefix::parse("10.9.0.2/32"), *Prefix::parse("fd00::2/128")});
  peers->publish_routes();

  SessionState* state = dataplane.sessions.take();
  EXPECT(state);
  // The store chose a random index; inputs need one that they can know. The low bits are the slot.
  const uint32_t slot = state->rx_index & (SessionStore::kSlots - 1);
  EXPECT(slot == 0);
  state->rx_index = kIndex;
  state->tx_index = kIndex;
  std::fill_n(state->rx_key, kMaxKeySize, kKeyByte);
  session = new Session();
  session->state = state;
  session->peer = peers->find(kPeer);
  session->rx_index = kIndex;
  session->tx_index = kIndex;
  EXPECT(session->make_ciphers(dataplane.lanes));
  dataplane.sessions.publish(session);
  bool rekey = false;
  EXPECT(peers->install(kPeer, session, plane.endpoint, true, rekey) && !rekey);

  remote_state().tx_sequence = 0;
  remote_.state = &remote_state();
  remote_.tx_index = kIndex;
  if (!remote_.sealer) remote_.sealer = Aead::make(Cipher::aes128_gcm, state->rx_key, Aead::Direction::seal, 1);
  if (!remote_.opener) remote_.opener = Aead::make(Cipher::aes128_gcm, state->tx_key, Aead::Direction::open, 1);
}

Bytes World::open_as_peer(Bytes record) {
  RecordHeader header;
  if (!parse_record(record, header)) return {};
  const View inner = open_record(remote_, kControlLane, record.data(), record.size());
  return {inner.begin(), inner.end()};
}

Bytes World::seal_as_peer(View inner) {
  Bytes record(inner.size() + kRecordOverhead);
  uint8_t* place = record.data() + kRecordHeader;
  if (!inner.empty()) memcpy(place, inner.data(), inner.size());
  EXPECT(seal_record(remote_, kControlLane, place, inner.size(), record.data()) == record.size());
  return record;
}

}  // namespace vpnd::fuzz
