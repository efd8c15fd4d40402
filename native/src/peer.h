// A peer: where its packets go, and what has passed.
#pragma once
#include <atomic>
#include <cstdint>

#include "address.h"
#include "counters.h"

namespace vpnd {

struct Session;

struct Peer {
  explicit Peer(uint32_t id_) : id(id_) {}

  const uint32_t id;

  // Read by packet threads within a Reclaimer section, replaced by the control thread.
  std::atomic<Session*> session{nullptr};      // to send with; null: none
  std::atomic<const Endpoint*> path{nullptr};  // where to send; set before session
  // The peer's association is with a foreign DTLS implementation: its packets pass through the control thread.
  std::atomic<bool> foreign{false};

  // Largest inner packet that the path is known to carry; 0: nobody probes, the configured MTU holds. Only ever lower than that.
  std::atomic<uint32_t> mtu{0};

  // By the threads that send and receive.
  Traffic tx;
  Traffic rx;
  std::atomic<uint64_t> last_rx_ms{0};  // monotonic; 0: nothing yet
  std::atomic<uint64_t> last_tx_ms{0};

  // Written by the control thread, read by TypeScript for display.
  std::atomic<uint64_t> rtt_ns{0};          // smoothed; 0: unknown
  std::atomic<uint64_t> handshake_ms{0};    // monotonic; 0: never
  std::atomic<uint8_t> cipher{0};           // 0: foreign or none
};

}  // namespace vpnd
