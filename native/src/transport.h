// hot: What a filter asks of an inner packet: protocol and ports, read past options, extension headers and fragment headers.
#pragma once
#include "ip_packet.h"
#include "ip_protocol.h"

namespace vpnd {

struct Transport {
  // A later fragment whose first one began with extension headers does not say its protocol.
  static constexpr uint8_t kUnknown = 255;

  enum class Part : uint8_t {
    whole,
    first,  // fragment, with the whole transport header in it
    later,  // fragment, without ports
  };

  uint8_t protocol = 0;
  Part part = Part::whole;
  bool opens = false;         // TCP: SYN without ACK
  uint8_t icmp_type = 0;
  uint16_t from = 0, to = 0;  // ports; of an ICMP echo its identifier, in both
  uint32_t fragment_id = 0;
  size_t at = 0;              // where the transport header begins
};

// For a packet that parse_ip took. False: its headers are cut off, too many, or split over fragments so as to hide something
// (RFC 1858, RFC 3128).
bool read_transport(View packet, Transport& out) noexcept;

// For the packet that an ICMP error quotes, most of which may be missing.
bool read_quoted(View quoted, IpHeader& ip, Transport& out) noexcept;

// An ICMP error quotes a packet behind its first eight bytes.
bool is_icmp_error(const Transport& transport) noexcept;
bool is_echo_request(const Transport& transport) noexcept;
bool is_echo_reply(const Transport& transport) noexcept;

}  // namespace vpnd
