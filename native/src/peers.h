// The peers of an engine: their sessions, paths and probes. Control thread only, but for info().
#pragma once
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "dataplane.h"
#include "engine.h"
#include "path_mtu.h"
#include "timers.h"

namespace vpnd {

// Reasons of CLOSE.
enum class CloseReason : uint8_t { stop = 0, removed = 1 };

class Peers {
 public:
  Peers(Dataplane& dataplane, Timers& timers, unsigned ping_interval_ms, unsigned dead_after_ms);
  ~Peers();

  void set(uint32_t id, std::vector<Prefix> prefixes);
  // Sends CLOSE, ends the sessions, forgets the peer.
  void remove(uint32_t id, CloseReason reason);
  // The same, but keeps the peer.
  void close(uint32_t id, CloseReason reason);
  void close_all();
  Peer* find(uint32_t id) const;
  // Which packets of peers may come in.
  void set_filter(FilterRules rules);
  // Puts changed prefixes in force; once for each round of commands.
  void publish_routes();

  // From now on the peer's packets go through this session, towards `to`; an earlier session is still opened for a while.
  // False: there is no such peer any more (the session is ended). `answers_mtu`: the peer answers MTU probes. `rekey`: it
  // replaced another one.
  bool install(uint32_t id, Session* session, const Endpoint& to, bool answers_mtu, bool& rekey);
  // The peer's packets go through the control thread.
  void install_foreign(uint32_t id, const Endpoint& to);
  void end_foreign(uint32_t id);
  // Unpublishes and frees a session, which may or may not be installed.
  void end_session(Session* session);

  void on_control(const Mail& mail);
  void on_roam(const Mail& mail);
  // A punch from where a peer with a session is: it seems to have forgotten the session. Only its answers to probes decide.
  void on_punch(const Endpoint& from);
  void ping(uint32_t id, uint64_t token);
  // Sends a control message of TypeScript's; nothing happens without a session, or with a foreign peer.
  void send_control(uint32_t id, View message);
  // The kernel refused a record for the peer as too large.
  void on_too_big(uint32_t id);

  // TypeScript's thread.
  std::optional<PeerInfo> info(uint32_t id) const;

 private:
  struct SentPing {
    uint64_t token;
    uint64_t sent_ns;
    bool asked;  // by ping(): the answer is an event
  };
  struct Entry {
    Entry(uint32_t id, size_t mtu) : peer(std::make_unique<Peer>(id)), path_mtu(mtu) {}
    std::unique_ptr<Peer> peer;
    std::vector<Prefix> prefixes;
    std::vector<uint32_t> draining;  // receive indices of replaced sessions
    std::deque<SentPing> pings;
    PathMtu path_mtu;
    uint64_t mtu_generation = 0;     // of its timer
    uint64_t probe_generation = 0;   // of the running probe timer
    uint64_t answered_ms = 0;        // last answer to a probe
    bool silent = false;
    uint64_t doubt = 0;              // number of the running row of quick probes; 0: none
    unsigned doubt_probes = 0;       // of that row, unanswered
    bool rekey_announced = false;
    Endpoint challenged;
    uint64_t challenge_token = 0;
    uint64_t next_challenge_ms = 0;
    double control_budget = 0;       // messages that may still be handled
    uint64_t control_budget_ms = 0;
  };

  void publish_filter(const PrefixTable& owners);
  Entry* entry(uint32_t id);
  void set_path(Entry& entry, const Endpoint& to);
  bool send(Session& session, const Endpoint& to, View message);
  void probe(uint32_t id, uint64_t generation);
  void doubt(uint32_t id, uint64_t number);
  void start_path_mtu(Entry& entry, const Endpoint& to);
  void stop_path_mtu(Entry& entry);
  void run_path_mtu(uint32_t id);
  // 0 or an errno value.
  int send_mtu_probe(Entry& entry, const PathMtu::Probe& probe);
  void on_mtu_answer(Entry& entry, View message);
  void send_ping(Entry& entry, uint64_t token, bool asked);
  void answered(Entry& entry);
  bool within_budget(Entry& entry);
  void on_pong(Entry& entry, uint64_t token);
  void on_path_response(Entry& entry, const Endpoint& from, uint64_t token);
  void on_close(Entry& entry, Session& session, View message);
  Event event(Event::Type type, const Peer& peer) const;

  Dataplane& dataplane_;
  Timers& timers_;
  const unsigned ping_interval_ms_;
  const unsigned dead_after_ms_;
  bool routes_changed_ = false;
  FilterRules filter_rules_;
  uint16_t filter_generation_ = 0;
  uint64_t generation_ = 0;
  // Held to change the map and by info(); the control thread reads without it.
  mutable std::mutex mutex_;
  std::unordered_map<uint32_t, Entry> entries_;
};

}  // namespace vpnd
