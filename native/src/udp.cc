#include "udp.h"

#include <netinet/udp.h>
#include <unistd.h>

#include <cerrno>

namespace vpnd {

namespace {

constexpr int kUdpBuffer = 4 << 20;

// Newer than the headers of some systems that we build on.
constexpr int kUdpSegment = 103;
constexpr int kUdpGro = 104;

bool set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value) == 0; }

int get(int fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, option, &value, &size) == 0 ? value : 0;
}

// The FORCE options pass net.core.*mem_max but need CAP_NET_ADMIN; a smaller buffer is no failure.
void grow_buffers(int fd) {
  if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, kUdpBuffer)) set(fd, SOL_SOCKET, SO_RCVBUF, kUdpBuffer);
  if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, kUdpBuffer)) set(fd, SOL_SOCKET, SO_SNDBUF, kUdpBuffer);
}

bool prepare(int fd, const SocketRequest& request) {
  if (request.mark != 0 && !set(fd, SOL_SOCKET, SO_MARK, static_cast<int>(request.mark))) return false;
  if (request.family == 6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return false;
  if (request.tcp) return set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  grow_buffers(fd);
  return request.family == 4 ? set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
                             : set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

bool bind_to(int fd, const Endpoint& local, uint16_t& port) {
  sockaddr_storage address;
  const socklen_t size = local.to(address);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0) return false;
  socklen_t bound = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bound) != 0) return false;
  port = Endpoint::from(reinterpret_cast<const sockaddr*>(&address)).port;
  return true;
}

}  // namespace

int make_socket(const SocketRequest& request, int& fd, uint16_t& port) {
  fd = -1;
  port = 0;
  if (request.family != 4 && request.family != 6) return EINVAL;
  Endpoint local{{}, request.port};
  local.address.family = static_cast<uint8_t>(request.family);
  if (!request.address.empty()) {
    const auto address = Address::parse(request.address);
    if (!address || address->family != request.family) return EINVAL;
    local.address = *address;
  }
  const int made = socket(request.family == 4 ? AF_INET : AF_INET6,
                          (request.tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return errno;
  const bool wants_bind = !request.tcp || request.port != 0 || !request.address.empty();
  if (!prepare(made, request) || (wants_bind && !bind_to(made, local, port))) {
    const int error = errno;
    close(made);
    return error;
  }
  fd = made;
  return 0;
}

UdpOffloads enable_offloads(int fd) {
  UdpOffloads out;
  // Zero changes nothing, but only a kernel that knows the option takes it.
  out.gso = set(fd, SOL_UDP, kUdpSegment, 0);
  out.gro = set(fd, SOL_UDP, kUdpGro, 1);
  return out;
}

SocketBuffers socket_buffers(int fd) {
  SocketBuffers out;
  if (fd < 0) return out;
  // The kernel counts its own overhead, and so says twice what was asked for.
  out.receive = get(fd, SOL_SOCKET, SO_RCVBUF) / 2;
  out.send = get(fd, SOL_SOCKET, SO_SNDBUF) / 2;
  return out;
}

int open_sibling(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return -1;
  const int made = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return -1;
  const SocketRequest request{address.ss_family == AF_INET ? 4 : 6, false, 0, {}, static_cast<uint32_t>(get(fd, SOL_SOCKET, SO_MARK))};
  const int level = request.family == 4 ? IPPROTO_IP : IPPROTO_IPV6;
  const int discover = request.family == 4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
  // Shared for a moment only, so that no other program can join in later.
  const bool bound = prepare(made, request) && set(made, level, discover, get(fd, level, discover)) &&
                     set(fd, SOL_SOCKET, SO_REUSEPORT, 1) && set(made, SOL_SOCKET, SO_REUSEPORT, 1) &&
                     bind(made, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  set(fd, SOL_SOCKET, SO_REUSEPORT, 0);
  if (bound && set(made, SOL_SOCKET, SO_REUSEPORT, 0)) return made;
  close(made);
  return -1;
}

bool UdpSockets::send(const Endpoint& to, View data) const noexcept {
  const int fd = fd_for(to);
  if (fd < 0 || !to.valid()) return false;
  sockaddr_storage address;
  const socklen_t size = to.to(address);
  return sendto(fd, data.data(), data.size(), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), size) ==
         static_cast<ssize_t>(data.size());
}

}  // namespace vpnd
