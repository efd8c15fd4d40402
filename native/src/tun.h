// The TUN device: opening, offloads, and writing packets to it. Reading is Inside's.
#pragma once
#include <sys/uio.h>

#include <string>

#include "bytes.h"

namespace vpnd {

struct TunDevice {
  int fd = -1;
  std::string name;
};

struct TunRequest {
  std::string name;          // may hold "%d"
  bool tap = false;
  bool plain = false;        // without vnet headers, as programs leave it that do not know them
  bool multi_queue = false;  // several descriptors may attach, one for each packet thread
};

// Makes or attaches to a device without packet information and, unless `plain`, with vnet headers where the kernel has them; offloads are off.
// Returns 0, or an errno value with `out.fd` -1. An existing persistent device of the other kind (TUN against TAP) is EINVAL.
int open_tun(const TunRequest& request, TunDevice& out);

// A queue more of a device that was made for several; nothing else is made. Returns as open_tun, ENODEV if there is no such device.
int open_tun_queue(const std::string& name, TunDevice& out);

// The descriptor's queue is none of the device's any more: no packets come to it, and it only keeps the device. 0 or an errno value.
int detach_tun_queue(int fd);

// What the kernel may hand over and take in one piece. Each was asked for and granted.
struct TunOffloads {
  bool vnet = false;      // each packet has a header before it (vnet_header.h); without it there are no offloads
  bool checksum = false;
  bool tso = false;       // TCP super-packets, IPv4 and IPv6
  bool uso = false;       // UDP super-packets: since Linux 6.2
};

class Tun {
 public:
  // Turns on what the kernel offers. A descriptor that is no TUN (a socket pair) carries one plain packet a read or write.
  explicit Tun(int fd);
  int fd() const { return fd_; }
  const TunOffloads& offloads() const { return offloads_; }
  // Writes one packet; returns 0 or an errno value. Any thread.
  int write(View packet) const noexcept;
  // The same for a packet in parts, the first of which begins with its header if there are headers.
  int write(const iovec* parts, int count) const noexcept { return writev(fd_, parts, count) < 0 ? errno : 0; }
  // Another descriptor of the same device; -1: it takes no more.
  int open_queue() const;
  // Offloads outlive who turned them on, and the next owner of a persistent device may not know them.
  void turn_off() const noexcept;

 private:
  int fd_;
  TunOffloads offloads_;
};

}  // namespace vpnd
