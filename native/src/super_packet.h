// hot: Super-packets on their way between two machines: the vnet header goes before the packet, its numbers little-endian.
#pragma once
#include "tun.h"
#include "vnet_header.h"

namespace vpnd {

// The header at `bytes`, of which there must be enough, in this machine's order.
VnetHeader load_vnet(const uint8_t* bytes) noexcept;
void store_vnet(uint8_t* bytes, const VnetHeader& header) noexcept;

// How long the headers are that each segment repeats. For a pair that Segmenter::begin took, of several segments; 0 when the header
// does not say where TCP or UDP begins.
size_t repeated_headers(const VnetHeader& header, View packet) noexcept;

// Whether the kernel may have this super-packet whole, for a pair that Segmenter::begin took and found `count` packets in. True: `out`
// is the header to write before it, made anew from the packet. Only plain shapes pass, which the kernel itself makes, with the
// pseudo-header's sum in the checksum's place; all others are to be split here. `max_packet`: bytes of the largest segment.
bool kernel_takes(const TunOffloads& offloads, const VnetHeader& header, View packet, size_t count, size_t max_packet,
                  VnetHeader& out) noexcept;

}  // namespace vpnd
