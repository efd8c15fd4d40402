#include "control_thread.h"

#include <poll.h>
#include <unistd.h>

#include "quiet_thread.h"

namespace vpnd {

namespace {
// Mail handled before timers and commands get their turn again.
constexpr int kMailRound = 64;
constexpr int kReclaimMs = 20;
}  // namespace

ControlThread::ControlThread(Dataplane& dataplane, int wake_fd, const EngineOptions& options, std::unique_ptr<DtlsContext> context)
    : dataplane_(dataplane),
      wake_fd_(wake_fd),
      peers_(dataplane, timers_, options.ping_interval_ms, options.dead_after_ms),
      handshakes_(dataplane, timers_, peers_, std::move(context), options.identity) {}

ControlThread::~ControlThread() { stop(); }

void ControlThread::start() {
  thread_ = quiet_thread("vpnd-control", [this] { run(); });
}

void ControlThread::stop() {
  if (!thread_.joinable()) return;
  post([this] {
    peers_.close_all();
    handshakes_.close_all();
    stopping_ = true;
  });
  thread_.join();
}

void ControlThread::post(std::function<void()> command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  wake(wake_fd_);
}

bool ControlThread::responds() {
  if (asked_.exchange(true)) return false;
  post([this] { asked_ = false; });
  return true;
}

void ControlThread::run_commands() {
  std::vector<std::function<void()>> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(commands_);
  }
  for (const auto& command : batch) command();
  peers_.publish_routes();
}

void ControlThread::handle(const Mail& mail) {
  switch (mail.kind) {
    case Mail::Kind::dtls: return handshakes_.on_datagram(mail.from, mail.data);
    case Mail::Kind::punch: return peers_.on_punch(mail.from);
    case Mail::Kind::control: return peers_.on_control(mail);
    case Mail::Kind::roam: return peers_.on_roam(mail);
    case Mail::Kind::too_big: return peers_.on_too_big(mail.peer_id);
    case Mail::Kind::confirmed: return handshakes_.on_confirmed(mail.rx_index);
    case Mail::Kind::foreign_packet: return handshakes_.send_foreign(mail.peer_id, mail.data);
  }
}

void ControlThread::run() {
  for (;;) {
    run_commands();
    if (stopping_) return;
    Mail mail;
    bool more = false;
    for (int i = 0; i < kMailRound; i++) {
      more = false;
      for (Mailbox* box : {&dataplane_.control_mail, &dataplane_.handshake_mail, &dataplane_.newcomer_mail}) {
        if (!box->take(mail)) continue;
        handle(mail);
        more = true;
      }
      if (!more) break;
    }
    int wait_ms = timers_.run();
    if (dataplane_.reclaimer.collect() && (wait_ms < 0 || wait_ms > kReclaimMs)) wait_ms = kReclaimMs;
    if (more) continue;
    pollfd fd{wake_fd_, POLLIN, 0};
    if (poll(&fd, 1, wait_ms) > 0) {
      uint64_t count;
      [[maybe_unused]] const ssize_t n = read(wake_fd_, &count, sizeof count);
    }
  }
}

}  // namespace vpnd
