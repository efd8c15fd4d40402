#include "udp.h"

#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <cerrno>

namespace vpnd {

namespace {

constexpr int kUdpBuffer = 4 << 20;
// A host that vanished is noticed after this long, also while there is something to send; accepted sockets inherit both.
constexpr int kTcpUserTimeoutMs = 15'000;
// What waits behind this in the kernel would only be delay for the packets after it.
constexpr int kTcpUnsent = 256 << 10;
constexpr size_t kAlwaysFits = 576 - 60 - 8;  // IPv4, RFC 791
constexpr int kMinimumV6 = 1280;              // RFC 8200 section 5
constexpr size_t kFitsV6 = kMinimumV6 - 40 - 8;

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

// PROBE: "don't fragment" is set, and what the kernel has learnt of the path (by ICMP, which may be forged) is not asked.
bool allow_fragments(int fd, int family, bool allow) {
  if (family == 4) return set(fd, IPPROTO_IP, IP_MTU_DISCOVER, allow ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
  return set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, allow ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE);
}

bool prepare(int fd, const SocketRequest& request) {
  if (request.mark != 0 && !set(fd, SOL_SOCKET, SO_MARK, static_cast<int>(request.mark))) return false;
  if (request.shared && !set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return false;
  if (request.family == 6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return false;
  if (request.tcp) {
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kTcpUserTimeoutMs);
    set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kTcpUnsent);
    return set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  }
  grow_buffers(fd);
  return allow_fragments(fd, request.family, true);
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
  // The kernel spreads only over sockets that keep the option. A socket without it still cannot take the port.
  const bool bound = prepare(made, request) && set(made, level, discover, get(fd, level, discover)) &&
                     set(fd, SOL_SOCKET, SO_REUSEPORT, 1) && set(made, SOL_SOCKET, SO_REUSEPORT, 1) &&
                     bind(made, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  if (bound) return made;
  close(made);
  return -1;
}

UdpSockets::UdpSockets(int fd4, int fd6, bool whole) : fd4_(fd4), fd6_(fd6), whole_(whole) {
  if (!whole_) return;
  if (fd4_ >= 0) allow_fragments(fd4_, 4, false);
  if (fd6_ >= 0) allow_fragments(fd6_, 6, false);
}

bool UdpSockets::send(const Endpoint& to, View data) const noexcept { return try_send(to, data) == 0; }

int UdpSockets::try_send(const Endpoint& to, View data) const noexcept {
  const int fd = fd_for(to);
  if (fd < 0 || !to.valid()) return EAFNOSUPPORT;
  sockaddr_storage address;
  const socklen_t size = to.to(address);
  const ssize_t sent = sendto(fd, data.data(), data.size(), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), size);
  return sent < 0 ? errno : 0;
}

// Other threads that send meanwhile send in pieces too, which does no harm; whoever is last forbids it again.
bool UdpSockets::send_in_pieces(const Endpoint& to, View data) const noexcept {
  if (!whole_ || data.size() <= kAlwaysFits) return send(to, data);
  const int fd = fd_for(to);
  const bool six = to.address.family == 6;
  allow_fragments(fd, to.address.family, true);
  // Routers don't fragment IPv6: the pieces must fit everywhere.
  if (six && data.size() > kFitsV6) set(fd, IPPROTO_IPV6, IPV6_MTU, kMinimumV6);
  const bool sent = send(to, data);
  if (six && data.size() > kFitsV6) set(fd, IPPROTO_IPV6, IPV6_MTU, 0);
  allow_fragments(fd, to.address.family, false);
  return sent;
}

}  // namespace vpnd
