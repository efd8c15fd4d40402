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

// A queue for each TUN descriptor given, the first with the sockets given. More are opened, up to `count` in all, as many as the
// kernel grants: they need a TUN that was made for several queues.
std::vector<Queue> open_queues(const std::vector<int>& tun_fds, const UdpSockets& sockets, unsigned count);

// Closes all descriptors, the given ones too.
void close_queues(const std::vector<Queue>& queues);

}  // namespace vpnd
