// hot: lowers the MSS that a TCP SYN announces to what a tunnel carries in one piece (RFC 9293 section 3.7.1).
#pragma once
#include <cstddef>
#include <cstdint>

namespace vpnd {

// Whether the checksum field of a transport header holds a whole checksum, or the sum of the pseudo-header only, which the
// device completes later (VIRTIO_NET_HDR_F_NEEDS_CSUM): a change of the header is no part of the latter.
enum class ChecksumField : uint8_t { whole, pseudo };

// Looks at a whole IP packet of `size` bytes and changes it in place when it is a TCP SYN with an MSS option larger than fits in
// `mtu`. Never raises; leaves malformed packets and options alone. True when it changed something.
bool clamp_mss(uint8_t* packet, size_t size, size_t mtu, ChecksumField field) noexcept;

}  // namespace vpnd
