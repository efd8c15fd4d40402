#include "packet_threads.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "inside.h"
#include "outside.h"

namespace vpnd {

namespace {

// A TUN that was deleted is looked at again after this long, so that its error costs nothing.
constexpr int kGoneRetryMs = 1000;

// One thread's work: either direction or both. Its place among the Reclaimer's readers is `reader`, its lane one more.
class Loop {
 public:
  Loop(Dataplane& dataplane, bool inside, bool outside, unsigned reader)
      : dataplane_(dataplane), wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), reader_(reader) {
    if (inside) inside_ = std::make_unique<Inside>(dataplane, reader + 1);
    if (outside) outside_ = std::make_unique<Outside>(dataplane, reader + 1);
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
    pollfd fds[] = {{wake_fd_, POLLIN, 0},
                    {inside_ ? dataplane_.tun_fd : -1, POLLIN, 0},
                    {outside_ ? dataplane_.sockets.fd4() : -1, POLLIN, 0},
                    {outside_ ? dataplane_.sockets.fd6() : -1, POLLIN, 0}};
    pollfd& tun = fds[1];
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
        tun.fd = dataplane_.tun_fd;
      }
      if (ready <= 0) continue;
      if (tun.revents && !inside_->round()) {
        dataplane_.drops.add(Drop::tun_error);
        retry_at = now_ms() + kGoneRetryMs;
        tun.fd = -1;
        tun.revents = 0;
      }
      if (fds[2].revents) outside_->round(fds[2].fd);
      if (fds[3].revents) outside_->round(fds[3].fd);
    }
    dataplane_.reclaimer.leave(reader_);
  }

 private:
  Dataplane& dataplane_;
  const int wake_fd_;
  const unsigned reader_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> asked_{false};  // by responds(), until the thread has answered
  std::unique_ptr<Inside> inside_;
  std::unique_ptr<Outside> outside_;
};

// Signals stay with the main thread: a handler here would interrupt the packet path.
std::thread start_thread(Loop& loop) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread thread([&loop] {
    pthread_setname_np(pthread_self(), "vpnd-packet");
    loop.run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

struct PacketThreads::Impl {
  std::vector<std::unique_ptr<Loop>> loops;
  std::vector<std::thread> threads;
};

PacketThreads::PacketThreads(Dataplane& dataplane, unsigned threads) : impl_(std::make_unique<Impl>()) {
  auto add = [&](bool inside, bool outside) {
    const auto reader = static_cast<unsigned>(impl_->loops.size());
    impl_->loops.push_back(std::make_unique<Loop>(dataplane, inside, outside, reader));
  };
  if (threads < 2) {
    add(true, true);
  } else {
    add(true, false);
    add(false, true);
  }
}

PacketThreads::~PacketThreads() { stop(); }

void PacketThreads::start() {
  if (!impl_->threads.empty()) return;
  for (const auto& loop : impl_->loops) {
    if (!loop->valid()) return;
  }
  for (const auto& loop : impl_->loops) impl_->threads.push_back(start_thread(*loop));
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
