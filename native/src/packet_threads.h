// The two directions of a packet's way, and the threads that run them.
#pragma once
#include <memory>

namespace vpnd {

struct Dataplane;

// Inside to outside (TUN to UDP) and outside to inside. One thread runs both, two run one each, more run both on a queue each.
class PacketThreads {
 public:
  PacketThreads(Dataplane& dataplane, unsigned threads);
  ~PacketThreads();  // stops
  void start();
  // Idempotent; returns when the threads have ended.
  void stop();
  // Asks each thread for a sign of life; false: one has not answered the previous call yet. One thread may call it.
  bool responds();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vpnd
