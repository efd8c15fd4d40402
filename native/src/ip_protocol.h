// Numbers and sizes of the headers inside IP packets that several readers of packets share.
#pragma once
#include <cstddef>
#include <cstdint>

namespace vpnd {

inline constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpV6 = 58;
// Without options and extension headers.
inline constexpr size_t kV4Header = 20, kV6Header = 40, kTcpHeader = 20, kUdpHeader = 8;
// Where a header has its checksum.
inline constexpr uint16_t kTcpChecksum = 16, kUdpChecksum = 6;

}  // namespace vpnd
