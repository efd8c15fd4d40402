// Lock-free counters: written by one thread each or by relaxed atomic adds, read by anybody.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

namespace vpnd {

// Why a packet or datagram went no further. Names for people are in drop_names, in the same order.
enum class Drop : uint8_t {
  malformed_packet,    // inside: not one whole IP packet
  unknown_destination, // inside: no peer has the address
  multicast,           // inside: multicast or broadcast
  no_session,          // inside: the peer has no session now
  too_big,             // inside: larger than the MTU
  path_mtu,            // outside: larger than the path takes unfragmented
  no_buffers,          // outside: the kernel had no memory or its queue was full
  send_error,          // outside: the socket refused it for another reason
  seal_error,
  unknown_type,        // outside: first byte means nothing
  punch,               // outside: punch or NAT keep-alive, not an error
  reserved,            // outside: STUN, relay, iex/v1 punch: nothing listens yet
  malformed_record,
  unknown_index,       // record for a session that is not here
  replayed,
  bad_tag,
  foreign_source,      // inner source is not the sender's
  malformed_inner,     // authentic record, but no IP packet or control message in it
  tun_error,           // the TUN refused a packet
  handshake_queue_full,
  control_queue_full,
  event_queue_full,
  control_rate,        // too many control messages from a peer
  dtls_unknown,        // DTLS record that belongs to no association
  dtls_malformed,
  handshake_limit,     // too many half-open handshakes
  hello_malformed,
  cookie_asked,        // first ClientHello of a source, answered with a cookie: not an error
  filtered,            // from a peer, and the filter rules do not let it in
  count
};

inline constexpr std::array<const char*, static_cast<size_t>(Drop::count)> drop_names = {
    "malformed-packet", "unknown-destination", "multicast", "no-session", "too-big", "path-mtu",
    "no-buffers", "send-error", "seal-error",
    "unknown-type", "punch", "reserved", "malformed-record", "unknown-index", "replayed", "bad-tag", "foreign-source",
    "malformed-inner", "tun-error", "handshake-queue-full", "control-queue-full", "event-queue-full", "control-rate",
    "dtls-unknown", "dtls-malformed", "handshake-limit", "hello-malformed", "cookie-asked", "filtered"};

class Counter {
 public:
  void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct DropCounters {
  std::array<Counter, static_cast<size_t>(Drop::count)> by_reason;
  void add(Drop reason, uint64_t n = 1) { by_reason[static_cast<size_t>(reason)].add(n); }
};

// One direction; its own cache line, because each direction has its own thread.
struct alignas(64) Traffic {
  Counter packets;
  Counter bytes;
  void add(uint64_t size, uint64_t count = 1) {
    packets.add(count);
    bytes.add(size);
  }
};

}  // namespace vpnd
