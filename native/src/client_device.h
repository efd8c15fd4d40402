// A gateway's devices: one for each client, made and set up at once, for a gateway has thousands.
#pragma once
#include <string>
#include <vector>

#include "address.h"

namespace vpnd {

struct DeviceAddress {
  Address address;
  uint8_t length = 0;
};

struct ClientDevice {
  std::string name;
  uint32_t mtu = 0;
  uint32_t group = 0;  // by which all of a gateway's devices are known; not 0
  std::vector<DeviceAddress> addresses;
};

// Brings a TUN up: silent (no router solicitations, no multicast reports), forwarding, with its addresses. 0 or an errno value.
int set_up_client_device(const ClientDevice& device);

// Deletes all devices of a group at once: one by one, each would wait for the kernel's grace period. 0 or an errno value.
int delete_devices(uint32_t group);

}  // namespace vpnd
