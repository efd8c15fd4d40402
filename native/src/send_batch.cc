#include "send_batch.h"

#include <netinet/udp.h>

#include <cerrno>

namespace vpnd {

namespace {
constexpr int kUdpSegment = 103;  // UDP_SEGMENT; newer than the headers of some systems
constexpr uint64_t kRefusedMs = 10000;
}  // namespace

SendBatch::SendBatch(Dataplane& dataplane, int fd, bool gso)
    : dataplane_(dataplane), fd_(fd), gso_(gso), arena_(std::make_unique_for_overwrite<uint8_t[]>(fd < 0 ? 0 : kArena)) {
  for (unsigned i = 0; i < kMessages; i++) {
    msghdr& header = headers_[i].msg_hdr;
    header.msg_name = &addresses_[i];
    header.msg_iov = &parts_[i];
    header.msg_iovlen = 1;
    header.msg_control = &controls_[i];
    header.msg_controllen = sizeof controls_[i].bytes;
    cmsghdr* segment = CMSG_FIRSTHDR(&header);
    segment->cmsg_level = SOL_UDP;
    segment->cmsg_type = kUdpSegment;
    segment->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  }
}

uint8_t* SendBatch::place(size_t size) noexcept {
  if (fd_ < 0 || used_ == kMessages || kArena - filled_ < size) return nullptr;
  return arena_.get() + filled_;
}

bool SendBatch::grows(const Message& last, const Endpoint& to, const Peer& peer, size_t size) const noexcept {
  return last.open && size <= last.segment && last.size + size <= kMaxMessage && last.peer == &peer && last.to == to;
}

void SendBatch::add(const Endpoint& to, size_t size, Peer& peer, size_t inner_size) noexcept {
  uint8_t* record = arena_.get() + filled_;
  filled_ += size;
  if (used_ > 0 && grows(messages_[used_ - 1], to, peer, size)) {
    Message& last = messages_[used_ - 1];
    last.size += size;
    last.inner_size += inner_size;
    last.segments++;
    last.open = size == last.segment && last.segments < kMaxSegments;
    return;
  }
  messages_[used_++] = {to, &peer, record, size, size, inner_size, 1, gso_ && size < refused_size_, peer.id};
}

void SendBatch::prepare(unsigned i, uint64_t now_ms) noexcept {
  const Message& message = messages_[i];
  message.peer->tx.add(message.inner_size, message.segments);
  message.peer->last_tx_ms.store(now_ms, std::memory_order_relaxed);
  msghdr& header = headers_[i].msg_hdr;
  header.msg_namelen = message.to.to(addresses_[i]);
  parts_[i] = {message.data, message.size};
  header.msg_controllen = message.segments > 1 ? sizeof controls_[i].bytes : 0;
  if (message.segments > 1) {
    const uint16_t segment = static_cast<uint16_t>(message.segment);
    memcpy(CMSG_DATA(reinterpret_cast<cmsghdr*>(&controls_[i])), &segment, sizeof segment);
  }
}

bool SendBatch::flush() noexcept {
  if (used_ == 0) return true;
  if (prepared_ < used_) {
    const uint64_t now = coarse_ms();
    while (prepared_ < used_) prepare(prepared_++, now);
  }
  while (sent_ < used_) {
    const int n = sendmmsg(fd_, &headers_[sent_], used_ - sent_, MSG_DONTWAIT);
    if (n > 0) {
      for (const unsigned end = sent_ + static_cast<unsigned>(n); sent_ < end; sent_++) {
        dataplane_.tx.add(messages_[sent_].inner_size, messages_[sent_].segments);
      }
    } else if (!failed(errno)) {
      return false;
    }
  }
  used_ = prepared_ = sent_ = 0;
  filled_ = 0;
  if (refused_size_ != SIZE_MAX && coarse_ms() >= refused_until_ms_) refused_size_ = SIZE_MAX;
  return true;
}

bool SendBatch::failed(int error) noexcept {
  if (error == EAGAIN) return false;
  if (error == EINTR) return true;
  const Message& message = messages_[sent_];
  // EIO: a device without checksum offload, which older kernels want; EINVAL, EMSGSIZE: a segment that had to be fragmented.
  if (message.segments > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
    refused_size_ = error == EIO ? 0 : std::min(refused_size_, message.segment);
    refused_until_ms_ = coarse_ms() + kRefusedMs;
    error = send_singly(message);
    if (error == EAGAIN) return false;
  }
  if (error == 0) dataplane_.tx.add(message.inner_size, message.segments);
  else if (error == EMSGSIZE) tell_too_big(message);
  else drop(message, error == ENOBUFS || error == ENOMEM ? Drop::no_buffers : Drop::send_error);
  sent_++;
  return true;
}

// What was sent before the socket was full is sent again then: receivers know duplicates.
int SendBatch::send_singly(const Message& message) noexcept {
  sockaddr_storage address;
  const socklen_t address_size = message.to.to(address);
  for (size_t at = 0; at < message.size; at += message.segment) {
    const size_t size = std::min(message.segment, message.size - at);
    if (sendto(fd_, message.data + at, size, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), address_size) < 0) return errno;
  }
  return 0;
}

void SendBatch::tell_too_big(const Message& message) noexcept {
  drop(message, Drop::path_mtu);
  // Answered by probing, so one lost among many does no harm.
  if (told_.take(coarse_ms())) dataplane_.control_mail.post({Mail::Kind::too_big, message.to, 0, message.peer_id, {}});
}

void SendBatch::drop(const Message& message, Drop reason) noexcept { dataplane_.drops.add(reason, message.segments); }

}  // namespace vpnd
