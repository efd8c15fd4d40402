#include "send_batch.h"

#include <poll.h>

#include <cerrno>

namespace vpnd {

namespace {
constexpr int kWaitMs = 10;
}

SendBatch::SendBatch(Dataplane& dataplane, int fd) : dataplane_(dataplane), fd_(fd) {
  for (unsigned i = 0; i < kMax; i++) {
    headers_[i].msg_hdr.msg_name = &addresses_[i];
    headers_[i].msg_hdr.msg_iov = &parts_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
}

void SendBatch::add(const Endpoint& to, uint8_t* record, size_t size, Peer& peer, size_t inner_size) noexcept {
  if (fd_ < 0) {
    dataplane_.drops.add(Drop::send_error);
    return;
  }
  headers_[used_].msg_hdr.msg_namelen = to.to(addresses_[used_]);
  parts_[used_] = {record, size};
  owners_[used_] = {&peer, inner_size};
  used_++;
}

void SendBatch::flush() noexcept {
  bool waited = false;
  unsigned at = 0;
  while (at < used_) {
    const int sent = sendmmsg(fd_, &headers_[at], used_ - at, MSG_DONTWAIT);
    if (sent > 0) {
      count_sent(at, at + static_cast<unsigned>(sent));
      at += static_cast<unsigned>(sent);
      continue;
    }
    const bool full = errno == EAGAIN;
    if (full && !waited) {
      waited = true;
      if (wait_writable()) continue;
    }
    // Any other error belongs to the first message; a socket that stays full takes none of the rest.
    const unsigned lost = full ? used_ - at : 1;
    dataplane_.drops.add(Drop::send_error, lost);
    at += lost;
  }
  used_ = 0;
}

bool SendBatch::wait_writable() const noexcept {
  pollfd p{fd_, POLLOUT, 0};
  return poll(&p, 1, kWaitMs) > 0;
}

void SendBatch::count_sent(unsigned from, unsigned to) noexcept {
  const uint64_t now = coarse_ms();
  for (unsigned i = from; i < to; i++) {
    const Owner& owner = owners_[i];
    owner.peer->tx.add(owner.inner_size);
    owner.peer->last_tx_ms.store(now, std::memory_order_relaxed);
    dataplane_.tx.add(owner.inner_size);
  }
}

}  // namespace vpnd
