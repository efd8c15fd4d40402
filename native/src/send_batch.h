// hot: sealed records on their way to one socket, sent with one system call.
#pragma once
#include <array>

#include "dataplane.h"

namespace vpnd {

class SendBatch {
 public:
  static constexpr unsigned kMax = 64;

  SendBatch(Dataplane& dataplane, int fd);
  SendBatch(const SendBatch&) = delete;
  SendBatch& operator=(const SendBatch&) = delete;

  // The record stays the caller's and must live until flush(). At most kMax between flushes.
  void add(const Endpoint& to, uint8_t* record, size_t size, Peer& peer, size_t inner_size) noexcept;
  // Sends and counts all. A full socket is waited for once, at most 10 ms; what does not fit then is dropped.
  void flush() noexcept;

 private:
  struct Owner {
    Peer* peer;
    size_t inner_size;
  };
  bool wait_writable() const noexcept;
  void count_sent(unsigned from, unsigned to) noexcept;

  Dataplane& dataplane_;
  const int fd_;
  unsigned used_ = 0;
  std::array<mmsghdr, kMax> headers_{};
  std::array<iovec, kMax> parts_{};
  std::array<sockaddr_storage, kMax> addresses_;
  std::array<Owner, kMax> owners_;
};

}  // namespace vpnd
