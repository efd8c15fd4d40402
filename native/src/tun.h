// The TUN device's descriptor. Opening and flags; reading and writing whole packets.
#pragma once
#include <string>

#include "bytes.h"

namespace vpnd {

struct TunDevice {
  int fd = -1;
  std::string name;
};

// Makes or attaches to a device (without packet information). `name` may hold "%d". Returns 0, or an errno value with
// `out.fd` -1. An existing persistent device of the other kind (TUN against TAP) is EINVAL.
int open_tun(const std::string& name, bool tap, TunDevice& out);

// Writes one packet; returns 0 or an errno value. Any thread.
int write_tun(int fd, View packet) noexcept;

}  // namespace vpnd
