// The thread that decides: commands of TypeScript, mail of the packet threads, timers.
#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "handshakes.h"

namespace vpnd {

class ControlThread {
 public:
  // `wake_fd`: the eventfd that the mailboxes write.
  ControlThread(Dataplane& dataplane, int wake_fd, const EngineOptions& options, std::unique_ptr<DtlsContext> context);
  ~ControlThread();

  void start();
  // Runs what was posted, says goodbye to every peer and ends. Idempotent.
  void stop();
  // Any thread; runs in order in the control thread.
  void post(std::function<void()> command);
  // Asks for a sign of life; false: the previous question is not answered yet. One thread may call it.
  bool responds();

  Peers& peers() { return peers_; }
  const Peers& peers() const { return peers_; }
  Handshakes& handshakes() { return handshakes_; }

 private:
  void run();
  void run_commands();
  void handle(const Mail& mail);

  Dataplane& dataplane_;
  const int wake_fd_;
  Timers timers_;
  Peers peers_;
  Handshakes handshakes_;
  std::mutex mutex_;
  std::vector<std::function<void()>> commands_;
  bool stopping_ = false;
  std::atomic<bool> asked_{false};  // by responds(), until the thread has answered
  std::thread thread_;
};

}  // namespace vpnd
