// hot: datagrams from the sockets to the TUN, or to who else they are for (docs/wire.md). One thread.
#pragma once
#include <array>

#include "dataplane.h"
#include "record.h"
#include "token_bucket.h"

namespace vpnd {

class Outside {
 public:
  Outside(Dataplane& dataplane, unsigned lane);
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

  // One batch from one socket. Within a Reclaimer section.
  void round(int fd) noexcept;
  // One datagram, changed in place. Within a Reclaimer section.
  void handle(const Endpoint& from, uint8_t* data, size_t size) noexcept;

 private:
  static constexpr unsigned kBatch = 64;
  // Whole datagrams: a Badger map of 600 nodes is one of 64 KiB. Not a power of two, lest all slots share cache sets.
  static constexpr size_t kStride = 65536 + 1536;

  uint8_t* slot(unsigned i) const { return buffers_.get() + i * kStride; }
  void punch(const Endpoint& from) noexcept;
  void record(const Endpoint& from, uint8_t* data, size_t size) noexcept;
  void inner(Session& session, const Endpoint& from, View plain) noexcept;
  void note_path(Session& session, const Endpoint& from) noexcept;
  void post(Mailbox& box, const Mail& mail, Drop when_full) noexcept;

  Dataplane& dataplane_;
  const unsigned lane_;
  // Untouched pages of it cost nothing, and most datagrams touch one page of their slot.
  std::unique_ptr<uint8_t[]> buffers_;
  uint64_t now_ms_ = 0;
  // Punches that are looked at; anybody can send them.
  TokenBucket punches_{10, 10};
  std::array<mmsghdr, kBatch> headers_{};
  std::array<iovec, kBatch> parts_{};
  std::array<sockaddr_storage, kBatch> addresses_;
};

}  // namespace vpnd
