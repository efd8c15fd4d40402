// hot: sealed records on their way to one socket: built one behind the other, sent with one system call, and those of one size to one
// destination as one message that the kernel cuts (UDP_SEGMENT).
#pragma once
#include <array>
#include <memory>

#include "dataplane.h"
#include "token_bucket.h"

namespace vpnd {

class SendBatch {
 public:
  SendBatch(Dataplane& dataplane, int fd, bool gso);
  SendBatch(const SendBatch&) = delete;
  SendBatch& operator=(const SendBatch&) = delete;

  // Where the next record is to be built, `size` bytes at most; null: flush first.
  uint8_t* place(size_t size) noexcept;
  // Whether a super-packet of usual segments fits.
  bool roomy() const noexcept { return kArena - filled_ >= kRoom && kMessages - used_ >= 8; }
  // The record at place() is complete.
  void add(const Endpoint& to, size_t size, Peer& peer, size_t inner_size) noexcept;
  // Sends all. False: the socket is full and the rest waits for the next call; nothing may be added meanwhile.
  bool flush() noexcept;
  bool empty() const { return used_ == 0; }
  int fd() const { return fd_; }

 private:
  static constexpr unsigned kMessages = 128;
  static constexpr size_t kArena = 256 << 10;
  static constexpr size_t kRoom = 96 << 10;
  // What the kernel takes in one message: segments since Linux 4.18, bytes of a UDP datagram over IPv4.
  static constexpr unsigned kMaxSegments = 64;
  static constexpr size_t kMaxMessage = 65507;

  struct Message {
    Endpoint to;
    Peer* peer;         // until the first flush(): a message that waits longer may outlive its peer
    uint8_t* data;
    size_t size;
    size_t segment;     // size of each record, but the last may have less
    size_t inner_size;  // of all records
    unsigned segments;
    bool open;          // may grow
    uint32_t peer_id;
  };

  bool grows(const Message& last, const Endpoint& to, const Peer& peer, size_t size) const noexcept;
  // Tells the peer that the message is on its way, and the kernel what it is.
  void prepare(unsigned i, uint64_t now_ms) noexcept;
  // The first of the messages left failed with this error. True: it was dealt with; false: wait.
  bool failed(int error) noexcept;
  // Sends a message record by record.
  int send_singly(const Message& message) noexcept;
  void drop(const Message& message, Drop reason) noexcept;
  // The control thread finds out how large this peer's records may be.
  void tell_too_big(const Message& message) noexcept;

  Dataplane& dataplane_;
  const int fd_;
  bool gso_;
  // Records of this size and more are sent singly until then: some device on the way to a peer refused to cut them.
  size_t refused_size_ = SIZE_MAX;
  uint64_t refused_until_ms_ = 0;
  TokenBucket told_{20, 20};

  std::unique_ptr<uint8_t[]> arena_;
  size_t filled_ = 0;
  unsigned used_ = 0;
  unsigned prepared_ = 0;
  unsigned sent_ = 0;
  std::array<Message, kMessages> messages_;
  std::array<mmsghdr, kMessages> headers_{};
  std::array<iovec, kMessages> parts_{};
  std::array<sockaddr_storage, kMessages> addresses_;
  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
  };
  std::array<Control, kMessages> controls_{};
};

}  // namespace vpnd
