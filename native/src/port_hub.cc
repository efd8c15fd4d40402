#include "port_hub.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <unordered_map>

#include "quiet_thread.h"
#include "shared_device.h"

namespace vpnd {

namespace {

constexpr uint64_t kWake = uint64_t{1} << 32, kShared = uint64_t{2} << 32;  // no client's
constexpr int kMaxDiscarded = 64;              // packets of one device in a row

void wake_up(int fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof one);
}

}  // namespace

struct PortHub::Impl {
  Impl(Destinations where, std::function<void()> ready, int epoll, int wake)
      : destinations(std::move(where)), on_ready(std::move(ready)), epoll_fd(epoll), wake_fd(wake) {}

  HubClient* find(uint32_t id) const {
    const auto found = clients.find(id);
    return found == clients.end() ? nullptr : found->second.get();
  }
  bool watch(int operation, const HubClient& client, uint32_t id) const {
    if (!client.has_device) return true;
    epoll_event event{};
    if (client.mode != Mode::pause) event.events = EPOLLIN;
    event.data.u64 = id;
    return epoll_ctl(epoll_fd, operation, client.tun.fd(), &event) == 0;
  }

  // The thread.
  void run() noexcept;
  void serve(uint32_t id, bool broken) noexcept;
  void discard(HubClient& client) noexcept;
  void forget_device(HubClient& client) noexcept;

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
  std::unordered_map<uint32_t, std::unique_ptr<HubClient>> clients;
  std::unique_ptr<SharedDevice> shared;  // null: each client has its own
};

void PortHub::Impl::run() noexcept {
  std::array<epoll_event, 64> events;
  while (true) {
    const int count = epoll_wait(epoll_fd, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; i++) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kShared) {
        // As below, of a device that somebody deleted.
        if ((event.events & (EPOLLERR | EPOLLHUP)) != 0 || !shared->serve()) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, shared->tun().fd(), nullptr);
        continue;
      }
      if (event.data.u64 != kWake) {
        serve(static_cast<uint32_t>(event.data.u64), (event.events & (EPOLLERR | EPOLLHUP)) != 0);
        continue;
      }
      uint64_t calls;
      [[maybe_unused]] const ssize_t n = read(wake_fd, &calls, sizeof calls);
      asked = false;
      if (shared) shared->flush();
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
      HubClient* client = find(id);
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

void PortHub::Impl::forget_device(HubClient& client) noexcept {
  client.counters.drop(PortDrop::tun_error);
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, client.tun.fd(), nullptr);
}

void PortHub::Impl::discard(HubClient& client) noexcept {
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
  for (const auto& [id, client] : impl_->clients) {
    if (client->has_device) close(client->tun.fd());
    // Before this is gone: threads of other hubs may be about to wake it.
    else impl_->shared->remove(*client);
  }
  impl_->clients.clear();
  if (impl_->shared) close(impl_->shared->tun().fd());
  close(impl_->wake_fd);
  close(impl_->epoll_fd);
}

bool PortHub::share(int tun_fd, std::string& error, std::shared_ptr<HubDirectory> directory) {
  if (impl_->started || impl_->stopped || impl_->shared) {
    error = "it is too late for that";
    return false;
  }
  if (!directory) directory = std::make_shared<HubDirectory>();
  const auto wake = [fd = impl_->wake_fd] { wake_up(fd); };
  impl_->shared = std::make_unique<SharedDevice>(tun_fd, std::move(directory), SharedDevice::Parts{impl_->batches, *impl_->memory, impl_->mutex, impl_->on_ready, wake});
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kShared;
  if (epoll_ctl(impl_->epoll_fd, EPOLL_CTL_ADD, tun_fd, &event) == 0) return true;
  impl_->shared.reset();
  error = "the device cannot be watched";
  return false;
}

bool PortHub::add(uint32_t id, HubClientOptions options, std::string& error) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->stopped) error = "it was stopped";
  else if ((options.tun_fd < 0) != (impl_->shared != nullptr)) error = "a client has a device of its own if there is no shared one";
  else if (options.mtu < 68 || options.mtu > 65535) error = "MTU out of range";
  else if (options.items == PortItems::frames) error = "clients have packets, not frames";
  else if (impl_->clients.contains(id)) error = "there is such a client";
  else {
    SharedDevice* shared = impl_->shared.get();
    auto client = std::make_unique<HubClient>(std::move(options), impl_->destinations, shared ? &shared->tun() : nullptr);
    if (shared ? shared->add(id, *client) : impl_->watch(EPOLL_CTL_ADD, *client, id)) {
      impl_->clients.emplace(id, std::move(client));
      return true;
    }
    error = shared ? "others have its addresses, or they are none" : "its device cannot be watched";
  }
  return false;
}

int PortHub::remove(uint32_t id, bool keep) {
  std::unique_ptr<HubClient> client;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->clients.find(id);
    if (found == impl_->clients.end()) return -1;
    client = std::move(found->second);
    impl_->clients.erase(found);
    if (!client->has_device) {
      impl_->shared->remove(*client);
      return -1;
    }
    epoll_ctl(impl_->epoll_fd, EPOLL_CTL_DEL, client->tun.fd(), nullptr);
  }
  if (keep) return client->tun.fd();
  close(client->tun.fd());
  return -1;
}

void PortHub::set_mode(uint32_t id, Mode mode) {
  const std::lock_guard lock(impl_->mutex);
  HubClient* client = impl_->find(id);
  if (!client || client->mode == mode) return;
  client->mode = mode;
  impl_->watch(EPOLL_CTL_MOD, *client, id);
  if (mode == Mode::discard) client->counters.drop(PortDrop::no_client, client->backlog.clear());
  if (mode == Mode::read && impl_->shared && impl_->shared->resume(*client)) wake_up(impl_->wake_fd);
}

void PortHub::set_limit(uint32_t id, uint64_t bytes) {
  if (HubClient* client = impl_->find(id); client && client->budget) client->budget->set_limit(bytes);
}

void PortHub::choose(uint32_t id, PortItems items) {
  if (HubClient* client = impl_->find(id); client && items != PortItems::frames) client->reader.choose(items);
}

void PortHub::write(uint32_t id, std::span<uint8_t> data, std::span<const uint32_t> ends, PortItems items) noexcept {
  HubClient* client = impl_->find(id);
  if (!client || items == PortItems::frames) return;
  client->writer.choose(items);
  client->writer.write(data, ends);
}

std::optional<PortInfo> PortHub::shared_info() const {
  if (!impl_->shared) return std::nullopt;
  return impl_->shared->info();
}

std::optional<HubClientInfo> PortHub::info(uint32_t id) const {
  const HubClient* client = impl_->find(id);
  if (!client) return std::nullopt;
  return HubClientInfo{port_info(client->counters), client->budget ? client->budget->passed() : 0,
                       client->nat ? client->nat->learned() : std::vector<Address>{}};
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
