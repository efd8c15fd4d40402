#include "packet_port.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "clock.h"
#include "port_reader.h"
#include "quiet_thread.h"
#include "reclaim.h"
#include "tun_out.h"

namespace vpnd {

namespace {

// A device that was deleted is looked at again after this long, so that its error costs nothing.
constexpr int kGoneRetryMs = 1000;

void wake_up(int fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof one);
}

// A descriptor that is no TUN, as tests have, is of the kind that is asked for.
bool is_of_kind(int fd, PortItems items) {
  ifreq interface{};
  if (ioctl(fd, TUNGETIFF, &interface) != 0) return true;
  return ((interface.ifr_flags & IFF_TAP) != 0) == (items == PortItems::frames);
}

}  // namespace

struct PacketPort::Impl {
  Impl(PortOptions o, int wake)
      : options(std::move(o)),
        wake_fd(wake),
        tun(options.tun_fd),
        reader(options.items, options.mtu, tun, counters, filter),
        writer(options.items, options.mtu, tun.offloads(), out, counters, filter) {}
  // The thread has ended.
  ~Impl() {
    delete filter.load();
    reclaimer.collect();
  }

  // A TAP has frames, a TUN everything else.
  bool takes(PortItems items) const { return (items == PortItems::frames) == (options.items == PortItems::frames); }

  // The thread.
  void run() noexcept;
  // Fills a batch and hands it over; says whether the device is there.
  bool round() noexcept;
  void hand_over() noexcept;

  const PortOptions options;
  const int wake_fd;
  const Tun tun;
  PortCounters counters;
  // Replaced by the carrier's thread; the port's is the reclaimer's only reader.
  std::atomic<const Filter*> filter{nullptr};
  Reclaimer reclaimer;
  uint16_t filter_generation = 0;
  const std::shared_ptr<BatchMemory> memory = std::make_shared_for_overwrite<BatchMemory>();
  BatchQueue queue;
  PortReader reader;
  TunOut out{tun};
  PortWriter writer;
  std::thread thread;
  bool started = false, stopped = false;
  std::atomic<bool> stopping{false}, paused{false};
  std::atomic<bool> asked{false};   // by responds(), until the thread has answered
  std::atomic<bool> keeps{false};   // the thread holds a batch with something in it back until the others were taken
  bool has_batch = false;           // the thread's: `batch` is being filled
  bool starved = false;             // the thread's: there was no free batch
  Batch batch;
};

// While the carrier has not taken the last batch, small ones would only cost it more calls.
void PacketPort::Impl::hand_over() noexcept {
  has_batch = false;
  keeps = false;
  queue.put(batch);
  options.on_ready();
}

bool PacketPort::Impl::round() noexcept {
  while (true) {
    if (!has_batch) {
      const int index = queue.take_free();
      starved = index < 0;
      if (starved) return true;
      has_batch = true;
      batch = {static_cast<unsigned>(index), 0, 0, options.items};
    }
    const auto result = reader.fill(batch, memory->all[batch.index]);
    if (result == PortReader::Result::full) {
      hand_over();
      continue;
    }
    if (batch.items > 0) {
      // Said before it is looked at: who takes the last one looks in the other order.
      keeps = true;
      if (queue.drained()) hand_over();
    }
    return result == PortReader::Result::empty;
  }
}

void PacketPort::Impl::run() noexcept {
  pollfd fds[] = {{wake_fd, POLLIN, 0}, {-1, POLLIN, 0}};
  uint64_t retry_at = 0;  // 0: the device is there
  while (true) {
    const bool reads = !paused && !starved && retry_at == 0;
    fds[1].fd = reads ? tun.fd() : -1;
    reclaimer.leave(0);
    const int ready = poll(fds, 2, retry_at == 0 ? -1 : kGoneRetryMs);
    reclaimer.enter(0);
    if (retry_at != 0 && now_ms() >= retry_at) retry_at = 0;
    if (ready <= 0) continue;
    if (fds[0].revents) {
      uint64_t count;
      [[maybe_unused]] const ssize_t n = read(wake_fd, &count, sizeof count);
      if (stopping) return reclaimer.leave(0);
      asked = false;
      starved = false;
    }
    if (retry_at != 0 || paused) continue;
    if (!round()) {
      counters.drop(PortDrop::tun_error);
      retry_at = now_ms() + kGoneRetryMs;
    }
  }
}

PacketPort::PacketPort(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PacketPort::~PacketPort() { stop(); }

std::unique_ptr<PacketPort> PacketPort::make(PortOptions options, std::string& error) {
  if (options.tun_fd < 0) error = "no descriptor of a device";
  else if (options.mtu < 68 || options.mtu > 65535) error = "MTU out of range";
  else if (!is_of_kind(options.tun_fd, options.items)) error = "frames need a TAP device, packets a TUN device";
  else if (const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); wake < 0) error = "no descriptor left";
  else return std::unique_ptr<PacketPort>(new PacketPort(std::make_unique<Impl>(std::move(options), wake)));
  return nullptr;
}

void PacketPort::start() {
  if (impl_->started || impl_->stopped) return;
  impl_->started = true;
  impl_->thread = quiet_thread("vpnd-port", [impl = impl_.get()] { impl->run(); });
}

void PacketPort::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  impl_->stopping = true;
  wake_up(impl_->wake_fd);
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->tun.turn_off();
  close(impl_->tun.fd());
  close(impl_->wake_fd);
}

void PacketPort::pause() { impl_->paused = true; }

void PacketPort::resume() {
  if (impl_->stopped || !impl_->paused.exchange(false)) return;
  wake_up(impl_->wake_fd);
  if (!impl_->queue.drained()) impl_->options.on_ready();
}

std::optional<Batch> PacketPort::take() {
  if (impl_->stopped || impl_->paused) return std::nullopt;
  const auto batch = impl_->queue.take();
  if (impl_->queue.drained() && impl_->keeps.exchange(false)) wake_up(impl_->wake_fd);
  return batch;
}

void PacketPort::give_back(unsigned index) {
  if (impl_->queue.give_back(index) && !impl_->stopped) wake_up(impl_->wake_fd);
}

const std::shared_ptr<BatchMemory>& PacketPort::memory() const { return impl_->memory; }

bool PacketPort::choose(PortItems items) {
  if (!impl_->takes(items)) return false;
  impl_->reader.choose(items);
  return true;
}

bool PacketPort::write(std::span<uint8_t> data, std::span<const uint32_t> ends, PortItems items) noexcept {
  if (!impl_->takes(items)) return false;
  if (impl_->stopped) return true;
  impl_->writer.choose(items);
  impl_->writer.write(data, ends);
  return true;
}

void PacketPort::set_filter(const FilterRules& rules) {
  const Filter* old = impl_->filter.load();
  const Filter* next = nullptr;
  if (!rules.pass_all()) {
    auto memory = old ? old->memory() : std::make_shared<Filter::Memory>(static_cast<uint32_t>(coarse_ms() / 1000));
    next = new Filter(rules, nullptr, std::move(memory), ++impl_->filter_generation);
  }
  impl_->filter.store(next, std::memory_order_release);
  if (old) impl_->reclaimer.retire([old] { delete old; });
  impl_->reclaimer.collect();
}

PortInfo PacketPort::info() const { return port_info(impl_->counters); }
const TunOffloads& PacketPort::offloads() const { return impl_->tun.offloads(); }

bool PacketPort::responds() {
  if (!impl_->thread.joinable()) return true;
  if (impl_->asked.exchange(true)) return false;
  wake_up(impl_->wake_fd);
  return true;
}

}  // namespace vpnd
