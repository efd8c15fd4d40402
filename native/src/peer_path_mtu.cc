// Peers, the part that finds out how large a packet each peer's path carries.
#include <cerrno>

#include "control_message.h"
#include "ip_protocol.h"
#include "peers.h"
#include "record.h"

namespace vpnd {

void Peers::start_path_mtu(Entry& e, const Endpoint& to) {
  const size_t ip = to.address.family == 4 ? kV4Header : kV6Header;
  e.path_mtu.start(kRecordOverhead + kUdpHeader + ip, now_ms());
  run_path_mtu(e.peer->id);
}

void Peers::stop_path_mtu(Entry& e) {
  e.path_mtu.stop();
  e.mtu_generation = 0;
}

void Peers::run_path_mtu(uint32_t id) {
  Entry* e = entry(id);
  if (!e || !e->path_mtu.running()) return;
  const Peer& peer = *e->peer;
  const auto next = [&] {
    return e->path_mtu.poll(now_ms(), peer.last_tx_ms.load(), peer.rtt_ns.load(), random_token());
  };
  // What the kernel refuses is followed by a smaller one at once.
  while (const auto probe = next()) {
    const int error = send_mtu_probe(*e, *probe);
    if (error != EMSGSIZE) break;
    e->path_mtu.refused(now_ms());
  }
  e->peer->mtu.store(static_cast<uint32_t>(e->path_mtu.mtu()), std::memory_order_relaxed);
  const uint64_t due = e->path_mtu.due_ms();
  e->mtu_generation = ++generation_;
  if (due == PathMtu::kNever) return;
  const uint64_t now = now_ms();
  timers_.after(due > now ? due - now : 0, [this, id, generation = e->mtu_generation] {
    const Entry* again = entry(id);
    if (again && again->mtu_generation == generation) run_path_mtu(id);
  });
}

int Peers::send_mtu_probe(Entry& e, const PathMtu::Probe& probe) {
  Session* session = e.peer->session.load();
  const Endpoint* to = e.peer->path.load();
  if (!session || !to) return ENOTCONN;
  Bytes message = encode_mtu_probe(probe.token, probe.size);
  const size_t inner = message.size();
  // One byte behind, as sealing wants it.
  message.push_back(0);
  Bytes record(kRecordOverhead + inner);
  const size_t size = seal_record(*session, kControlLane, message.data(), inner, record.data());
  return size == 0 ? EIO : dataplane_.sockets.try_send(*to, {record.data(), size});
}

void Peers::on_mtu_answer(Entry& e, View message) {
  const auto answer = decode_mtu_answer(message);
  if (answer && e.path_mtu.answered(answer->token, answer->size, now_ms())) run_path_mtu(e.peer->id);
}

void Peers::on_too_big(uint32_t id) {
  Entry* e = entry(id);
  if (!e) return;
  e->path_mtu.suspect(now_ms());
  run_path_mtu(id);
}

}  // namespace vpnd
