// One engine without Node: its TUN is one end of a socket pair, its events are kept, HELLOs are admitted as told.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine.h"

namespace vpnd::driver {

class Node {
 public:
  struct Options {
    uint8_t seed = 1;       // node key
    std::vector<uint8_t> psks{1};  // the preferred one first; also the ids of their epochs
    bool badger = false;
    unsigned threads = 1;
    size_t mtu = 1400;
    unsigned dead_after_ms = 15000;
  };
  static constexpr uint32_t kPeer = 7;

  // Aborts the program when the machine refuses sockets.
  explicit Node(const Options& options);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  Engine& engine() { return *engine_; }
  const Endpoint& endpoint() const { return endpoint_; }
  // Takes new events; those that ask for an answer get it.
  void pump();
  const std::vector<Event>& events() const { return events_; }
  size_t count(Event::Type type) const;
  void forget_events() { events_.clear(); }
  // Peer to admit HELLOs and foreign associations to; 0: leaves them unanswered.
  uint32_t admit_to = kPeer;

  void send_inside(View packet);
  // Next packet that came out of the tunnel.
  std::optional<Bytes> take_inside();
  uint64_t dropped(const std::string& reason) const;

 private:
  Endpoint endpoint_;
  // The other ends of the queues of the TUN.
  std::vector<int> inside_;
  size_t next_ = 0;  // of them to send through
  std::unique_ptr<Engine> engine_;
  std::vector<Event> events_;
};

// What the node says it is; for Engine::set_identity().
Identity make_identity(const Node::Options& options);

// Calls `step` until `done` or the deadline; the result of `done`.
bool wait_for(const std::function<void()>& step, const std::function<bool()>& done, unsigned ms = 10000);

}  // namespace vpnd::driver
