#include "queue.h"

#include <unistd.h>

namespace vpnd {

namespace {

void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

Queue make_queue(int tun, const UdpSockets& sockets) {
  Queue queue{Tun(tun), sockets, {}};
  for (const int fd : {sockets.fd4(), sockets.fd6()}) {
    if (fd < 0) continue;
    const UdpOffloads granted = enable_offloads(fd);
    queue.udp.gso |= granted.gso;
    queue.udp.gro |= granted.gro;
  }
  return queue;
}

void close_queue(const Queue& queue) {
  close_if_open(queue.tun.fd());
  close_if_open(queue.sockets.fd4());
  close_if_open(queue.sockets.fd6());
}

}  // namespace

std::vector<Queue> open_queues(const std::vector<int>& tun_fds, const UdpSockets& sockets, unsigned count) {
  std::vector<Queue> queues{make_queue(tun_fds[0], sockets)};
  while (queues.size() < count) {
    const size_t next = queues.size();
    const int tun = next < tun_fds.size() ? tun_fds[next] : queues[0].tun.open_queue();
    if (tun < 0) break;
    const int fd4 = sockets.fd4() < 0 ? -1 : open_sibling(sockets.fd4());
    const int fd6 = sockets.fd6() < 0 ? -1 : open_sibling(sockets.fd6());
    const Queue queue = make_queue(tun, UdpSockets(fd4, fd6));
    // Sockets of one family more than of the other would leave senders to threads that don't listen to them.
    if ((fd4 < 0) != (sockets.fd4() < 0) || (fd6 < 0) != (sockets.fd6() < 0)) {
      close_queue(queue);
      break;
    }
    queues.push_back(queue);
  }
  return queues;
}

void close_queues(const std::vector<Queue>& queues) {
  if (!queues.empty()) queues[0].tun.turn_off();
  for (const Queue& queue : queues) close_queue(queue);
}

}  // namespace vpnd
