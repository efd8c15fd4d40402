#include "port_hub.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <unordered_map>

#include "port_reader.h"
#include "quiet_thread.h"
#include "source_nat.h"
#include "tun_out.h"

namespace vpnd {

namespace {

constexpr uint64_t kWake = uint64_t{1} << 32;  // no client's
constexpr int kMaxDiscarded = 64;              // packets of one device in a row

void wake_up(int fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof one);
}

struct Client final : PortWriter::Gate, PortReader::Gate {
  Client(HubClientOptions options, const Destinations& where)
      : tun(options.tun_fd),
        sources(std::move(options.sources)),
        destinations(where),
        reader(options.items, options.mtu, tun, counters),
        out(tun),
        writer(options.items, options.mtu, tun.offloads(), out, counters) {
    writer.guard(this);
    if (!options.any_source) return;
    nat.emplace(sources);
    reader.guard(this);
  }

  bool admits(const IpHeader& ip, const VnetHeader& header, std::span<uint8_t> packet) noexcept override {
    // First this: what goes nowhere teaches nothing of the client's address.
    if (!destinations.permits(ip.destination)) counters.drop(PortDrop::forbidden_destination);
    else if (nat ? !nat->knows(ip.source) : !any_contains(sources, ip.source)) counters.drop(PortDrop::foreign_source);
    else if (nat && !nat->leaving(header, packet)) counters.drop(PortDrop::malformed_inner);
    else return true;
    return false;
  }
  bool passes(const VnetHeader& header, std::span<uint8_t> packet) noexcept override { return nat->arriving(header, packet); }

  const Tun tun;
  const std::vector<Prefix> sources;
  const Destinations& destinations;
  PortCounters counters;
  std::optional<SourceNat> nat;
  PortReader reader;
  TunOut out;
  PortWriter writer;
  PortHub::Mode mode = PortHub::Mode::pause;
};

}  // namespace

struct PortHub::Impl {
  Impl(Destinations where, std::function<void()> ready, int epoll, int wake)
      : destinations(std::move(where)), on_ready(std::move(ready)), epoll_fd(epoll), wake_fd(wake) {}

  Client* find(uint32_t id) const {
    const auto found = clients.find(id);
    return found == clients.end() ? nullptr : found->second.get();
  }
  bool watch(int operation, const Client& client, uint32_t id) const {
    epoll_event event{};
    if (client.mode != Mode::pause) event.events = EPOLLIN;
    event.data.u64 = id;
    return epoll_ctl(epoll_fd, operation, client.tun.fd(), &event) == 0;
  }

  // The thread.
  void run() noexcept;
  void serve(uint32_t id, bool broken) noexcept;
  void discard(Client& client) noexcept;
  void forget_device(Client& client) noexcept;

  const Destinations destinations;
  const std::function<void()> on_ready;
  const int epoll_fd, wake_fd;
  const std::shared_ptr<HubMemory> memory = std::make_shared_for_overwrite<HubMemory>();
  HubBatches batches;
  std::thread thread;
  bool started = false, stopped = false;
  std::atomic<bool> stopping{false};
  std::atomic<bool> asked{false};  // by responds(), until the thread has answered
  // Held by the thread while it reads a device, and by the carrier's while it changes clients.
  std::mutex mutex;
  std::unordered_map<uint32_t, std::unique_ptr<Client>> clients;
};

void PortHub::Impl::run() noexcept {
  std::array<epoll_event, 64> events;
  while (true) {
    const int count = epoll_wait(epoll_fd, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; i++) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 != kWake) {
        serve(static_cast<uint32_t>(event.data.u64), (event.events & (EPOLLERR | EPOLLHUP)) != 0);
        continue;
      }
      uint64_t calls;
      [[maybe_unused]] const ssize_t n = read(wake_fd, &calls, sizeof calls);
      asked = false;
    }
    if (stopping) return;
  }
}

// A batch's worth of one client; the others that are ready come next.
void PortHub::Impl::serve(uint32_t id, bool broken) noexcept {
  for (bool more = true; more;) {
    const int index = batches.wait_free();
    if (index < 0) return;
    HubBatch filled{id, {static_cast<unsigned>(index), 0, 0, PortItems::packets}};
    {
      const std::lock_guard lock(mutex);
      Client* client = find(id);
      more = false;
      // Somebody deleted the device: watched any longer, it would be reported for ever.
      if (client && broken) forget_device(*client);
      else if (client && client->mode == Mode::discard) discard(*client);
      else if (client && (client->mode == Mode::read || client->reader.holds())) {
        if (client->reader.fill(filled.batch, memory->all[filled.batch.index]) == PortReader::Result::gone) forget_device(*client);
        // The device knows nothing of these: they would wait for its next packet.
        more = client->reader.holds();
      }
    }
    if (filled.batch.items == 0) {
      batches.discard(filled.batch.index);
      continue;
    }
    batches.put(filled);
    on_ready();
  }
}

void PortHub::Impl::forget_device(Client& client) noexcept {
  client.counters.drop(PortDrop::tun_error);
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, client.tun.fd(), nullptr);
}

void PortHub::Impl::discard(Client& client) noexcept {
  uint8_t byte;
  for (int i = 0; i < kMaxDiscarded; i++) {
    // The rest of the packet is cut off.
    if (read(client.tun.fd(), &byte, sizeof byte) < 0 && errno != EINVAL) return;
    client.counters.drop(PortDrop::no_client);
  }
}

PortHub::PortHub(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PortHub::~PortHub() { stop(); }

std::unique_ptr<PortHub> PortHub::make(Destinations destinations, std::function<void()> on_ready, std::string& error) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC), wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  if (epoll < 0 || wake < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) != 0) {
    if (epoll >= 0) close(epoll);
    if (wake >= 0) close(wake);
    error = "no descriptor left";
    return nullptr;
  }
  return std::unique_ptr<PortHub>(new PortHub(std::make_unique<Impl>(std::move(destinations), std::move(on_ready), epoll, wake)));
}

void PortHub::start() {
  if (impl_->started || impl_->stopped) return;
  impl_->started = true;
  impl_->thread = quiet_thread("vpnd-hub", [impl = impl_.get()] { impl->run(); });
}

void PortHub::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  impl_->stopping = true;
  impl_->batches.end();
  wake_up(impl_->wake_fd);
  if (impl_->thread.joinable()) impl_->thread.join();
  for (const auto& [id, client] : impl_->clients) close(client->tun.fd());
  impl_->clients.clear();
  close(impl_->wake_fd);
  close(impl_->epoll_fd);
}

bool PortHub::add(uint32_t id, HubClientOptions options, std::string& error) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->stopped) error = "it was stopped";
  else if (options.tun_fd < 0) error = "no descriptor of a device";
  else if (options.mtu < 68 || options.mtu > 65535) error = "MTU out of range";
  else if (options.items == PortItems::frames) error = "clients have packets, not frames";
  else if (impl_->clients.contains(id)) error = "there is such a client";
  else {
    auto client = std::make_unique<Client>(std::move(options), impl_->destinations);
    if (impl_->watch(EPOLL_CTL_ADD, *client, id)) {
      impl_->clients.emplace(id, std::move(client));
      return true;
    }
    error = "its device cannot be watched";
  }
  return false;
}

int PortHub::remove(uint32_t id, bool keep) {
  std::unique_ptr<Client> client;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->clients.find(id);
    if (found == impl_->clients.end()) return -1;
    client = std::move(found->second);
    impl_->clients.erase(found);
    epoll_ctl(impl_->epoll_fd, EPOLL_CTL_DEL, client->tun.fd(), nullptr);
  }
  if (keep) return client->tun.fd();
  close(client->tun.fd());
  return -1;
}

void PortHub::set_mode(uint32_t id, Mode mode) {
  const std::lock_guard lock(impl_->mutex);
  Client* client = impl_->find(id);
  if (!client || client->mode == mode) return;
  client->mode = mode;
  impl_->watch(EPOLL_CTL_MOD, *client, id);
}

void PortHub::choose(uint32_t id, PortItems items) {
  if (Client* client = impl_->find(id); client && items != PortItems::frames) client->reader.choose(items);
}

void PortHub::write(uint32_t id, std::span<uint8_t> data, std::span<const uint32_t> ends, PortItems items) noexcept {
  Client* client = impl_->find(id);
  if (!client || items == PortItems::frames) return;
  client->writer.choose(items);
  client->writer.write(data, ends);
}

std::optional<PortInfo> PortHub::info(uint32_t id) const {
  const Client* client = impl_->find(id);
  if (!client) return std::nullopt;
  return port_info(client->counters);
}

std::optional<HubBatch> PortHub::take() { return impl_->stopped ? std::nullopt : impl_->batches.take(); }
void PortHub::give_back(unsigned index) { impl_->batches.give_back(index); }
const std::shared_ptr<HubMemory>& PortHub::memory() const { return impl_->memory; }

bool PortHub::responds() {
  if (!impl_->thread.joinable()) return true;
  if (impl_->asked.exchange(true)) return false;
  wake_up(impl_->wake_fd);
  return true;
}

}  // namespace vpnd
