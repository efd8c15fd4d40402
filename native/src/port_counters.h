// What a packet port counts. Both directions may be counted by different threads.
#pragma once
#include "counters.h"

namespace vpnd {

// Why a packet went no further; names for people are in port_drop_names, in the same order.
enum class PortDrop : uint8_t {
  malformed_packet,  // from the device: not one whole IP packet, or its vnet header does not belong to it
  too_big,           // either way: larger than the MTU (a frame: than the MTU and its header)
  bad_batch,         // from the carrier: an end before the one before it, or behind the data; the rest is not looked at
  malformed_inner,   // from the carrier: not one whole IP packet or frame
  bad_header,        // from the carrier: a vnet header that does not belong to its packet
  tun_error,         // the device refused it, or is gone
  filtered,          // from the carrier: the filter rules do not let it in
  foreign_source,    // from a client: its source is not the client's
  forbidden_destination,  // from a client: its destination is not open to clients
  no_client,         // from the device: its client is away, or nobody has the address
  queue_full,        // from the device: its client takes nothing now, and too much waits for it already
  quota,             // either way: its client may move no more
  count
};

inline constexpr std::array<const char*, static_cast<size_t>(PortDrop::count)> port_drop_names = {
    "malformed-packet", "too-big", "bad-batch", "malformed-inner", "bad-header", "tun-error", "filtered",
    "foreign-source", "forbidden-destination", "no-client", "queue-full", "quota"};

struct PortCounters {
  Traffic rx;  // carrier to device
  Traffic tx;  // device to carrier
  std::array<Counter, static_cast<size_t>(PortDrop::count)> drops;
  void drop(PortDrop reason, uint64_t n = 1) { drops[static_cast<size_t>(reason)].add(n); }
};

// All of it at one moment, or nearly.
struct PortInfo {
  uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets;
  std::array<uint64_t, static_cast<size_t>(PortDrop::count)> drops;
};

inline PortInfo port_info(const PortCounters& c) {
  PortInfo out{c.rx.bytes.get(), c.tx.bytes.get(), c.rx.packets.get(), c.tx.packets.get(), {}};
  for (size_t i = 0; i < out.drops.size(); i++) out.drops[i] = c.drops[i].get();
  return out;
}

// What the items of a batch are, both ways.
enum class PortItems : uint8_t {
  packets,  // IP packets of ordinary size
  supers,   // IP packets of up to 64 KiB, each with its vnet header before it (super_packet.h)
  frames,   // Ethernet frames, of a TAP
};

// A frame's header, with room for two VLAN tags in the largest.
inline constexpr size_t kMinFrame = 14;
inline constexpr size_t kMaxFrameHeader = 22;

}  // namespace vpnd
