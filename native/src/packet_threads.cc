#include "packet_threads.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "inside.h"
#include "outside.h"
#include "quiet_thread.h"

namespace vpnd {

namespace {

// A TUN that was deleted is looked at again after this long, so that its error costs nothing.
constexpr int kGoneRetryMs = 1000;

// One thread's work on one queue: either direction or both. Its place among the Reclaimer's readers is `reader`.
class Loop {
 public:
  Loop(Dataplane& dataplane, const Queue& queue, bool inside, bool outside, unsigned reader)
      : dataplane_(dataplane), queue_(queue), wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), reader_(reader) {
    const unsigned lane = kControlLane + 1 + reader;
    if (inside) inside_ = std::make_unique<Inside>(dataplane, queue, lane);
    if (outside) outside_ = std::make_unique<Outside>(dataplane, queue, lane);
  }

  ~Loop() {
    if (wake_fd_ >= 0) close(wake_fd_);
  }

  // Without its eventfd the thread could not be stopped, and must not run.
  bool valid() const { return wake_fd_ >= 0; }

  void stop() {
    stopping_ = true;
    wake(wake_fd_);
  }

  bool responds() {
    if (asked_.exchange(true)) return false;
    wake(wake_fd_);
    return true;
  }

  void run() noexcept {
    const UdpSockets& sockets = queue_.sockets;
    pollfd fds[] = {{wake_fd_, POLLIN, 0},
                    {-1, 0, 0},
                    {outside_ ? sockets.fd4() : -1, POLLIN, 0},
                    {outside_ ? sockets.fd6() : -1, POLLIN, 0}};
    pollfd& inside = fds[1];
    if (inside_) inside = {queue_.tun.fd(), POLLIN, 0};
    uint64_t retry_at = 0;  // 0: the TUN is there
    while (true) {
      dataplane_.reclaimer.leave(reader_);
      const int ready = poll(fds, std::size(fds), retry_at == 0 ? -1 : kGoneRetryMs);
      dataplane_.reclaimer.enter(reader_);
      if (fds[0].revents) {
        uint64_t count;
        [[maybe_unused]] const ssize_t n = read(wake_fd_, &count, sizeof count);
        if (stopping_) break;
        asked_ = false;
      }
      if (retry_at != 0 && now_ms() >= retry_at) {
        retry_at = 0;
        inside.fd = queue_.tun.fd();
      }
      if (ready <= 0) continue;
      if (inside.revents) retry_at = from_inside(inside);
      if (fds[2].revents) outside_->round(fds[2].fd);
      if (fds[3].revents) outside_->round(fds[3].fd);
    }
    dataplane_.reclaimer.leave(reader_);
  }

 private:
  // Says what to wait for next. While a socket is full the TUN is not read: its own queue fills, and programs slow down.
  // Returns when a TUN that is gone is to be looked at again, or 0.
  uint64_t from_inside(pollfd& waits) noexcept {
    waits.revents = 0;
    switch (inside_->round()) {
      case Inside::Result::done: waits = {queue_.tun.fd(), POLLIN, 0}; return 0;
      case Inside::Result::blocked: waits = {inside_->blocked_fd(), POLLOUT, 0}; return 0;
      case Inside::Result::gone: break;
    }
    dataplane_.drops.add(Drop::tun_error);
    waits.fd = -1;
    return now_ms() + kGoneRetryMs;
  }

  Dataplane& dataplane_;
  const Queue& queue_;
  const int wake_fd_;
  const unsigned reader_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> asked_{false};  // by responds(), until the thread has answered
  std::unique_ptr<Inside> inside_;
  std::unique_ptr<Outside> outside_;
};

}  // namespace

struct PacketThreads::Impl {
  std::vector<std::unique_ptr<Loop>> loops;
  std::vector<std::thread> threads;
};

PacketThreads::PacketThreads(Dataplane& dataplane, unsigned threads) : impl_(std::make_unique<Impl>()) {
  auto add = [&](const Queue& queue, bool inside, bool outside) {
    const auto reader = static_cast<unsigned>(impl_->loops.size());
    impl_->loops.push_back(std::make_unique<Loop>(dataplane, queue, inside, outside, reader));
  };
  if (threads == 2) {
    add(dataplane.queues[0], true, false);
    add(dataplane.queues[0], false, true);
  } else {
    for (const Queue& queue : dataplane.queues) add(queue, true, true);
  }
}

PacketThreads::~PacketThreads() { stop(); }

void PacketThreads::start() {
  if (!impl_->threads.empty()) return;
  for (const auto& loop : impl_->loops) {
    if (!loop->valid()) return;
  }
  for (const auto& loop : impl_->loops) impl_->threads.push_back(quiet_thread("vpnd-packet", [&loop = *loop] { loop.run(); }));
}

void PacketThreads::stop() {
  if (impl_->threads.empty()) return;
  for (const auto& loop : impl_->loops) loop->stop();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

bool PacketThreads::responds() {
  bool all = true;
  for (const auto& loop : impl_->loops) all = loop->responds() && all;
  return all;
}

}  // namespace vpnd
