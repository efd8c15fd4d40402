#include "wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "udp.h"

namespace vpnd::driver {

namespace {

int loopback_socket(uint16_t& port) {
  int fd = -1;
  if (make_socket({4, false, 0, "127.0.0.1", 0}, fd, port) != 0) {
    fprintf(stderr, "driver: no UDP socket\n");
    abort();
  }
  return fd;
}

bool receive(int fd, Bytes& out) {
  out.resize(65536);
  const ssize_t n = recv(fd, out.data(), out.size(), MSG_DONTWAIT);
  if (n < 0) return false;
  out.resize(static_cast<size_t>(n));
  return true;
}

}  // namespace

Wire::Wire(const Endpoint& inner, const Endpoint& outer) : inner_(inner), outer_(outer) {
  front_.address = inner.address;
  front_fd_ = loopback_socket(front_.port);
  rebind();
  uint16_t port;
  other_back_fd_ = loopback_socket(port);
}

Wire::~Wire() {
  close(front_fd_);
  close(back_fd_);
  close(other_back_fd_);
}

void Wire::rebind() {
  const int old = back_fd_;
  uint16_t port;
  back_fd_ = loopback_socket(port);
  if (old >= 0) close(old);
}

void Wire::pump() {
  Bytes datagram;
  while (receive(front_fd_, datagram)) {
    if (cut || !filter(datagram)) continue;
    const bool other = spread && turn_++ % 2 == 1;
    UdpSockets(other ? other_back_fd_ : back_fd_, -1).send(outer_, datagram);
    passed.push_back(datagram);
  }
  for (const int fd : {back_fd_, other_back_fd_}) {
    while (receive(fd, datagram)) {
      if (!cut) UdpSockets(front_fd_, -1).send(inner_, datagram);
    }
  }
}

void Wire::inject(View datagram) { UdpSockets(back_fd_, -1).send(outer_, datagram); }

void Wire::inject_from_elsewhere(View datagram) {
  uint16_t port;
  const int fd = loopback_socket(port);
  UdpSockets(fd, -1).send(outer_, datagram);
  close(fd);
}

}  // namespace vpnd::driver
