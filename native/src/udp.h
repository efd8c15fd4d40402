// The engine's UDP sockets, at most one for each family, and the maker of all of vpnd's sockets.
#pragma once
#include <optional>
#include <string>

#include "address.h"
#include "bytes.h"

namespace vpnd {

struct SocketRequest {
  int family = 4;            // 4 or 6 (IPv6 only)
  bool tcp = false;
  uint16_t port = 0;         // 0: the kernel chooses
  std::string address;       // empty: any
  uint32_t mark = 0;         // SO_MARK; 0: none. Set before bind, so that no packet leaves without it
  bool shared = false;       // SO_REUSEPORT: others that share may have the same port
};

// Makes a non-blocking, close-on-exec socket, bound when it is UDP or has a port or address; UDP sockets get large buffers and
// may fragment. Returns 0 or an errno value; `port` is the port bound.
int make_socket(const SocketRequest& request, int& fd, uint16_t& port);

// What a UDP socket takes and gives in one piece: since Linux 4.18 and 5.0.
struct UdpOffloads {
  bool gso = false;  // UDP_SEGMENT: several datagrams of one size to one destination
  bool gro = false;  // UDP_GRO: several of one size and source
};

// Turns on what the kernel offers.
UdpOffloads enable_offloads(int fd);

// Sizes that the kernel grants, bytes; 0: no socket.
struct SocketBuffers {
  int receive = 0;
  int send = 0;
};
SocketBuffers socket_buffers(int fd);

// Another socket with the same address and port: the kernel spreads senders over both. -1 when it cannot be made.
int open_sibling(int fd);

class UdpSockets {
 public:
  // `whole`: datagrams leave in one piece or not at all, whatever size the kernel believes a path to have; otherwise the sockets
  // stay as they are.
  UdpSockets(int fd4, int fd6, bool whole = false);
  int fd4() const { return fd4_; }
  int fd6() const { return fd6_; }
  int fd_for(const Endpoint& to) const { return to.address.family == 4 ? fd4_ : fd6_; }
  // Sends one datagram; false when the kernel refused it or there is no socket of that family. Any thread.
  bool send(const Endpoint& to, View data) const noexcept;
  // The same; 0 or an errno value (EMSGSIZE: larger than the device carries in one piece).
  int try_send(const Endpoint& to, View data) const noexcept;
  // Sends one datagram that may travel in fragments. Several system calls: for the few that must arrive at any size.
  bool send_in_pieces(const Endpoint& to, View data) const noexcept;
  bool whole() const { return whole_; }

 private:
  int fd4_;
  int fd6_;
  bool whole_;
};

}  // namespace vpnd
