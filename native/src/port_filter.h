// hot: The filter of a packet port.
#pragma once
#include <atomic>

#include "filter.h"
#include "port_counters.h"

namespace vpnd {

inline const std::atomic<const Filter*> kNoFilter{nullptr};

// Whether an item of a carrier may come in; a super-packet without its vnet header. In a frame, what is no IP may, and IPv6's
// neighbour discovery.
bool may_come_in(const Filter& filter, PortItems items, View item) noexcept;
// Remembers an item of the device.
void remember_sent(const Filter& filter, PortItems items, View item) noexcept;

}  // namespace vpnd
