// A TUN as a packet port's writer sees it.
#pragma once
#include "port_writer.h"

namespace vpnd {

class TunOut final : public PortWriter::Device {
 public:
  explicit TunOut(const Tun& tun) : tun_(tun) {}
  int write(const iovec* parts, int count) noexcept override {
    return tun_.offloads().vnet ? tun_.write(parts, count) : tun_.write(parts + 1, count - 1);
  }

 private:
  const Tun& tun_;
};

}  // namespace vpnd
