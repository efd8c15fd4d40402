#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "check.h"
#include "udp.h"

using namespace vpnd;

namespace {
int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(fd, level, name, &value, &size);
  return value;
}
}  // namespace

TEST(sockets_udp, "sockets: UDP is bound, non-blocking, closed on exec and may fragment") {
  int fd = -1;
  uint16_t port = 0;
  CHECK(make_socket({4, false, 0, "127.0.0.1", 0}, fd, port) == 0);
  CHECK(fd >= 0 && port != 0);
  CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
  CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  CHECK(option(fd, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_DONT);
  int second = -1;
  uint16_t same = 0;
  CHECK(make_socket({4, false, port, "127.0.0.1", 0}, second, same) == EADDRINUSE);
  CHECK(second == -1 && same == 0);

  // Sends and receives; an endpoint of a family without socket is refused.
  const UdpSockets sockets(fd, -1);
  const uint8_t hello[] = {1, 2, 3};
  CHECK(sockets.send({*Address::parse("127.0.0.1"), port}, hello));
  uint8_t got[8];
  CHECK(recv(fd, got, sizeof got, 0) == 3);
  CHECK(!sockets.send({*Address::parse("::1"), port}, hello));
  CHECK(!sockets.send({}, hello));
  close(fd);
}

TEST(sockets_tcp, "sockets: TCP is bound only when asked to") {
  int fd = -1;
  uint16_t port = 7;
  CHECK(make_socket({4, true, 0, "", 0}, fd, port) == 0);
  CHECK(port == 0);
  close(fd);
  CHECK(make_socket({4, true, 0, "127.0.0.1", 0}, fd, port) == 0);
  CHECK(port != 0);
  close(fd);
}

TEST(sockets_errors, "sockets: what makes no sense is EINVAL") {
  int fd = 5;
  uint16_t port = 0;
  CHECK(make_socket({5, false, 0, "", 0}, fd, port) == EINVAL && fd == -1);
  CHECK(make_socket({4, false, 0, "::1", 0}, fd, port) == EINVAL);
  CHECK(make_socket({6, false, 0, "127.0.0.1", 0}, fd, port) == EINVAL);
  CHECK(make_socket({4, false, 0, "localhost", 0}, fd, port) == EINVAL);
}

TEST(sockets_whole, "sockets: whole datagrams, but for those that may travel in pieces") {
  int fd = -1;
  uint16_t port = 0;
  CHECK(make_socket({4, false, 0, "127.0.0.1", 0}, fd, port) == 0);
  const UdpSockets sockets(fd, -1, true);
  const Endpoint self{*Address::parse("127.0.0.1"), port};
  const auto forbidden = [&] { return option(fd, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_PROBE; };
  CHECK(sockets.whole() && forbidden());
  const Bytes large(60000);
  CHECK(sockets.send_in_pieces(self, large) && forbidden());
  Bytes got(65536);
  CHECK(recv(fd, got.data(), got.size(), 0) == 60000);
  CHECK(sockets.try_send(self, Bytes(65508)) == EMSGSIZE);
  CHECK(sockets.try_send({*Address::parse("::1"), port}, large) == EAFNOSUPPORT);
  close(fd);
}
