#include "node.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "clock.h"
#include "udp.h"

namespace vpnd::driver {

namespace {

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "driver: %s\n", what);
  abort();
}

}  // namespace

Identity make_identity(const Node::Options& options) {
  Identity id;
  id.badger = options.badger;
  id.node_seed = Bytes(32, options.seed);
  for (const uint8_t psk : options.psks) {
    id.epochs.push_back({psk, Bytes(32, psk), Bytes(32, static_cast<uint8_t>(psk + 100)), Bytes(64, psk), Bytes(32, psk),
                         Bytes(64, options.seed)});
  }
  return id;
}

Node::Node(const Options& options) {
  uint16_t port = 0;
  EngineOptions engine;
  if (make_socket({4, false, 0, "127.0.0.1", 0}, engine.udp4_fd, port) != 0) die("no UDP socket");
  endpoint_ = {*Address::parse("127.0.0.1"), port};
  for (unsigned queues = options.threads > 2 ? options.threads : 1; queues > 0; queues--) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) die("no socket pair");
    inside_.push_back(pair[0]);
    if (engine.tun_fd < 0) engine.tun_fd = pair[1];
    else engine.more_tun_fds.push_back(pair[1]);
  }
  engine.identity = make_identity(options);
  engine.mtu = options.mtu;
  engine.threads = options.threads;
  engine.ping_interval_ms = 200;
  engine.dead_after_ms = options.dead_after_ms;
  engine.on_event = [] {};
  std::string error;
  engine_ = Engine::make(std::move(engine), error);
  if (!engine_) die(error.c_str());
  engine_->start();
}

Node::~Node() {
  engine_.reset();
  for (const int fd : inside_) close(fd);
}

void Node::pump() {
  for (Event& event : engine_->drain_events()) {
    const bool asks = event.type == Event::Type::hello || event.type == Event::Type::foreign;
    if (asks && admit_to != 0) engine_->admit(event.assoc, admit_to);
    events_.push_back(std::move(event));
  }
}

size_t Node::count(Event::Type type) const {
  return static_cast<size_t>(std::count_if(events_.begin(), events_.end(), [&](const Event& e) { return e.type == type; }));
}

void Node::send_inside(View packet) {
  const int fd = inside_[next_++ % inside_.size()];
  // The engine's end is full for a moment when it is slower than we are.
  while (::send(fd, packet.data(), packet.size(), 0) < 0) {
    pollfd p{fd, POLLOUT, 0};
    poll(&p, 1, 10);
  }
}

std::optional<Bytes> Node::take_inside() {
  Bytes packet(65536);
  for (const int fd : inside_) {
    const ssize_t n = recv(fd, packet.data(), packet.size(), MSG_DONTWAIT);
    if (n < 0) continue;
    packet.resize(static_cast<size_t>(n));
    return packet;
  }
  return std::nullopt;
}

uint64_t Node::dropped(const std::string& reason) const {
  for (const auto& [name, n] : engine_->info().drops) {
    if (reason == name) return n;
  }
  return 0;
}

bool wait_for(const std::function<void()>& step, const std::function<bool()>& done, unsigned ms) {
  const uint64_t deadline = now_ms() + ms;
  for (;;) {
    step();
    if (done()) return true;
    if (now_ms() >= deadline) return false;
    poll(nullptr, 0, 1);
  }
}

}  // namespace vpnd::driver
