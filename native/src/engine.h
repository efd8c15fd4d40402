// The mesh engine: what src/daemon/core/engine.ts describes, without N-API.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "address.h"
#include "bytes.h"
#include "event_queue.h"
#include "filter.h"

namespace vpnd {

// What one PSK gives; the rest of a node's identity outlives its PSKs.
struct Epoch {
  uint32_t id = 0;  // chosen by the caller, never 0, never used again for another PSK
  Bytes dtls_psk;
  Bytes identity_key;
  Bytes probe_psk;
  Bytes network_id;  // 32
  Bytes record;      // at most kMaxRecord
};

struct Identity {
  bool badger = false;
  Bytes node_seed;            // 32, Ed25519
  std::vector<Epoch> epochs;  // the preferred one first

  // Null when it is accepted no more.
  const Epoch* find_epoch(uint32_t id) const;
};

// Packet threads: 1 for both directions, 2 for one each, more for both directions on a queue of the TUN each.
inline constexpr unsigned kMaxThreads = 8;

struct EngineOptions {
  Identity identity;
  int tun_fd = -1;
  // Descriptors of the same TUN for further packet threads; if there are too few, the engine opens more where it can.
  std::vector<int> more_tun_fds;
  int udp4_fd = -1;  // -1: none
  int udp6_fd = -1;
  size_t mtu = 1400;
  unsigned threads = 1;
  unsigned ping_interval_ms = 5000;
  unsigned dead_after_ms = 15000;
  std::function<void()> on_event;
};

struct PeerInfo {
  uint64_t rx_bytes = 0, tx_bytes = 0, rx_packets = 0, tx_packets = 0;
  std::optional<double> rtt_seconds, idle_seconds, handshake_age_seconds;
  std::optional<uint32_t> mtu;  // largest inner packet now; none without a session
  std::string endpoint;  // empty: none
  std::string cipher;    // empty: none
};

struct EngineInfo {
  uint64_t rx_bytes = 0, tx_bytes = 0, rx_packets = 0, tx_packets = 0;
  std::vector<std::pair<const char*, uint64_t>> drops;  // only reasons that occurred
};

// What this machine gives the engine.
struct EngineFeatures {
  unsigned threads = 0;               // packet threads
  std::vector<const char*> offloads;  // names for people
  int receive_buffer = 0;             // of a UDP socket, bytes
  int send_buffer = 0;
};

class Engine {
 public:
  // Null and a message in `error` when the options make no sense or memory is short. Owns the descriptors only on success.
  static std::unique_ptr<Engine> make(EngineOptions options, std::string& error);
  ~Engine();

  // All of these may be called from one thread (TypeScript's); none blocks but stop().
  void start();
  void stop();
  std::deque<Event> drain_events();
  void send(const Endpoint& to, View data);
  // `epoch`: 0 is the preferred one.
  void connect(uint32_t tag, const Endpoint& to, uint32_t epoch = 0);
  void abort(uint32_t tag);
  void admit(uint32_t assoc, uint32_t peer);
  void refuse(uint32_t assoc, uint8_t reason);
  void set_peer(uint32_t peer, std::vector<Prefix> prefixes);
  void remove_peer(uint32_t peer);
  void close_peer(uint32_t peer);
  void ping(uint32_t peer, uint64_t token);
  // A control message of a type that the engine does not know; at most kMaxControlMessage bytes.
  void send_control(uint32_t peer, View message);
  void set_identity(Identity identity);
  // Before start(): in force from the first packet on.
  void set_filter(FilterRules rules);

  std::optional<PeerInfo> peer_info(uint32_t peer) const;
  EngineInfo info() const;
  EngineFeatures features() const;
  // Asks every thread for a sign of life; false: one has not answered the previous call yet.
  bool responds();
  std::vector<std::pair<Address, uint64_t>> unknown_destinations() const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vpnd
