// hot: datagrams from the sockets to the TUN, or to who else they are for (docs/wire.md). One thread.
#pragma once
#include <array>

#include "coalesce.h"
#include "dataplane.h"
#include "record.h"
#include "token_bucket.h"

namespace vpnd {

class Outside final : private Coalescer::Sink {
 public:
  // `lane`: the thread's own, among those that open.
  Outside(Dataplane& dataplane, const Queue& queue, unsigned lane);
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

  // One batch from one socket. Within a Reclaimer section.
  void round(int fd) noexcept;
  // One datagram, changed in place; it must stay until flush(). Within a Reclaimer section.
  void handle(const Endpoint& from, uint8_t* data, size_t size) noexcept;
  // Writes packets that waited for others to be merged with.
  void flush() noexcept { coalescer_.flush(); }

 private:
  static constexpr unsigned kBatch = 32;
  // Whole datagrams, also merged ones (UDP_GRO). Not a power of two, lest all slots share cache sets.
  static constexpr size_t kStride = 65536 + 1536;

  uint8_t* slot(unsigned i) const { return buffers_.get() + i * kStride; }
  void punch(const Endpoint& from) noexcept;
  void record(const Endpoint& from, uint8_t* data, size_t size) noexcept;
  void inner(Session& session, const Endpoint& from, std::span<uint8_t> plain) noexcept;
  bool may_send(const Peer& peer, const Address& source) noexcept;
  void note_path(Session& session, const Endpoint& from) noexcept;
  void post(Mailbox& box, const Mail& mail, Drop when_full) noexcept;
  void write(const iovec* parts, int count, size_t packets, size_t bytes, void* peer) noexcept override;

  Dataplane& dataplane_;
  const Queue& queue_;
  const unsigned lane_;
  Coalescer coalescer_;
  // Untouched pages of it cost nothing, and most datagrams touch one page of their slot.
  std::unique_ptr<uint8_t[]> buffers_;
  uint64_t now_ms_ = 0;
  // Punches that are looked at; anybody can send them.
  TokenBucket punches_{10, 10};
  // The last inner source that was looked up, and whose it is; for this batch only.
  Address known_source_;
  const Peer* known_owner_ = nullptr;
  std::array<mmsghdr, kBatch> headers_{};
  std::array<iovec, kBatch> parts_{};
  std::array<sockaddr_storage, kBatch> addresses_;
  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
  };
  std::array<Control, kBatch> controls_;
};

}  // namespace vpnd
