// Where the packets of one packet thread come from and go to: a descriptor of the TUN and sockets of the engine's port.
#pragma once
#include "tun.h"
#include "udp.h"

namespace vpnd {

struct Queue {
  Tun tun;
  UdpSockets sockets;
  UdpOffloads udp;  // of all sockets
};

// The first queue is made of the descriptors given, which stay the caller's. Others are opened, as many as the kernel grants up to
// `count` in all: they need a TUN that was made for several queues.
std::vector<Queue> open_queues(int tun_fd, const UdpSockets& sockets, unsigned count);

// Closes all descriptors, the caller's too.
void close_queues(const std::vector<Queue>& queues);

}  // namespace vpnd
