// Threads that no signal interrupts.
#pragma once
#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace vpnd {

// Signals stay with the main thread: a handler would interrupt the packet path. `name` is what ps shows, at most 15 characters.
template <typename Work>
std::thread quiet_thread(const char* name, Work work) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread thread([name, work = std::move(work)]() mutable {
    pthread_setname_np(pthread_self(), name);
    work();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace vpnd
