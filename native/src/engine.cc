#include "engine.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "control_thread.h"
#include "packet_threads.h"

namespace vpnd {

namespace {
std::vector<int> tun_fds(const EngineOptions& options) {
  std::vector<int> all{options.tun_fd};
  all.insert(all.end(), options.more_tun_fds.begin(), options.more_tun_fds.end());
  return all;
}

// Up to two threads share one queue.
unsigned queues_of(unsigned threads) { return threads <= 2 ? 1 : threads; }
}  // namespace

struct Engine::Impl {
  Impl(const EngineOptions& options, int wake, std::unique_ptr<DtlsContext> context)
      : wake_fd(wake),
        dataplane(open_queues(tun_fds(options), UdpSockets(options.udp4_fd, options.udp6_fd, !options.identity.badger),
                              queues_of(options.threads)),
                  options.mtu, options.threads + 1, wake, options.on_event),
        control(dataplane, wake, options, std::move(context)),
        packets(dataplane, options.threads) {}

  ~Impl() {
    packets.stop();
    control.stop();
  }

  // After stop() the descriptors are gone, and commands have nobody to go to.
  void post(std::function<void()> command) {
    if (!stopped) control.post(std::move(command));
  }

  const int wake_fd;
  Dataplane dataplane;
  ControlThread control;
  PacketThreads packets;
  bool started = false;
  bool stopped = false;
};

namespace {

std::string check(const EngineOptions& o) {
  const Identity& id = o.identity;
  if (o.tun_fd < 0) return "no TUN descriptor";
  if (o.udp4_fd < 0 && o.udp6_fd < 0) return "no UDP socket";
  if (o.mtu < 68 || o.mtu > 65535 - 128) return "MTU out of range";
  if (o.threads < 1 || o.threads > kMaxThreads) return "threads out of range";
  if (o.ping_interval_ms == 0 || o.dead_after_ms == 0) return "probe intervals must not be 0";
  if (id.node_seed.size() != 32) return "node seed must be 32 bytes";
  if (id.epochs.empty()) return "no PSK epoch";
  for (const Epoch& e : id.epochs) {
    if (e.id == 0 || id.find_epoch(e.id) != &e) return "epoch ids must differ and not be 0";
    if (e.network_id.size() != kPublicKeySize) return "network id must be 32 bytes";
    if (e.record.size() > kMaxRecord) return "node record too large";
    if (e.dtls_psk.empty() || e.dtls_psk.size() > 256 || e.identity_key.empty() || e.probe_psk.empty()) return "bad PSK epoch";
  }
  return "";
}

}  // namespace

const Epoch* Identity::find_epoch(uint32_t id) const {
  for (const Epoch& epoch : epochs) {
    if (epoch.id == id) return &epoch;
  }
  return nullptr;
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() { stop(); }

std::unique_ptr<Engine> Engine::make(EngineOptions options, std::string& error) {
  error = check(options);
  if (!error.empty()) return nullptr;
  auto context = DtlsContext::make(error);
  if (!context) return nullptr;
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) {
    error = "no descriptor left";
    return nullptr;
  }
  auto impl = std::make_unique<Impl>(options, wake, std::move(context));
  if (!impl->dataplane.sessions.valid()) {
    error = "no memory for sessions";
    impl.reset();
    close(wake);
    return nullptr;
  }
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

void Engine::start() {
  if (impl_->started) return;
  impl_->started = true;
  impl_->control.start();
  impl_->packets.start();
}

void Engine::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  impl_->packets.stop();
  impl_->control.stop();
  close_queues(impl_->dataplane.queues);
  close(impl_->wake_fd);
}

std::deque<Event> Engine::drain_events() { return impl_->dataplane.events.drain(); }

void Engine::send(const Endpoint& to, View data) {
  if (impl_->stopped) return;
  if (!impl_->dataplane.sockets.send(to, data)) impl_->dataplane.drops.add(Drop::send_error);
}

void Engine::connect(uint32_t tag, const Endpoint& to, uint32_t epoch) {
  impl_->post([c = &impl_->control, tag, to, epoch] { c->handshakes().connect(tag, to, epoch); });
}
void Engine::abort(uint32_t tag) {
  impl_->post([c = &impl_->control, tag] { c->handshakes().abort(tag); });
}
void Engine::admit(uint32_t assoc, uint32_t peer) {
  impl_->post([c = &impl_->control, assoc, peer] { c->handshakes().admit(assoc, peer); });
}
void Engine::refuse(uint32_t assoc, uint8_t reason) {
  impl_->post([c = &impl_->control, assoc, reason] { c->handshakes().refuse(assoc, reason); });
}
void Engine::set_peer(uint32_t peer, std::vector<Prefix> prefixes) {
  impl_->post([c = &impl_->control, peer, prefixes = std::move(prefixes)] { c->peers().set(peer, prefixes); });
}
void Engine::remove_peer(uint32_t peer) {
  impl_->post([c = &impl_->control, peer] {
    c->handshakes().drop_peer(peer);
    c->peers().remove(peer, CloseReason::removed);
  });
}
void Engine::close_peer(uint32_t peer) {
  impl_->post([c = &impl_->control, peer] {
    c->handshakes().drop_peer(peer);
    c->peers().close(peer, CloseReason::removed);
  });
}
void Engine::send_control(uint32_t peer, View message) {
  impl_->post([c = &impl_->control, peer, data = Bytes(message.begin(), message.end())] {
    c->peers().send_control(peer, data);
  });
}
void Engine::ping(uint32_t peer, uint64_t token) {
  impl_->post([c = &impl_->control, peer, token] { c->peers().ping(peer, token); });
}
void Engine::set_identity(Identity identity) {
  impl_->post([c = &impl_->control, identity = std::move(identity)] { c->handshakes().set_identity(identity); });
}

void Engine::set_filter(FilterRules rules) {
  impl_->post([c = &impl_->control, rules = std::move(rules)] { c->peers().set_filter(rules); });
}

std::optional<PeerInfo> Engine::peer_info(uint32_t peer) const { return impl_->control.peers().info(peer); }

EngineInfo Engine::info() const {
  const Dataplane& d = impl_->dataplane;
  EngineInfo out{d.rx.bytes.get(), d.tx.bytes.get(), d.rx.packets.get(), d.tx.packets.get(), {}};
  for (size_t i = 0; i < drop_names.size(); i++) {
    if (const uint64_t n = d.drops.by_reason[i].get()) out.drops.emplace_back(drop_names[i], n);
  }
  return out;
}

EngineFeatures Engine::features() const {
  const Dataplane& d = impl_->dataplane;
  const TunOffloads& tun = d.tun.offloads();
  const UdpOffloads& udp = d.queues[0].udp;
  EngineFeatures out;
  out.threads = d.lanes - 1;
  const std::pair<bool, const char*> offloads[] = {{tun.checksum, "checksum"}, {tun.tso, "tso"},  {tun.uso, "uso"},
                                                   {udp.gso, "udp-gso"},       {udp.gro, "udp-gro"},
                                                   {d.queues.size() > 1, "multi-queue"}};
  for (const auto& [on, name] : offloads) {
    if (on) out.offloads.push_back(name);
  }
  const int fd = d.sockets.fd4() >= 0 ? d.sockets.fd4() : d.sockets.fd6();
  const SocketBuffers buffers = impl_->stopped ? SocketBuffers{} : socket_buffers(fd);
  out.receive_buffer = buffers.receive;
  out.send_buffer = buffers.send;
  return out;
}

bool Engine::responds() {
  if (impl_->stopped) return true;
  // Both are asked, whatever the first says.
  const bool control = impl_->control.responds();
  const bool packets = impl_->packets.responds();
  return control && packets;
}

std::vector<std::pair<Address, uint64_t>> Engine::unknown_destinations() const { return impl_->dataplane.unknown.list(); }

}  // namespace vpnd
