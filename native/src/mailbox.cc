#include "mailbox.h"

#include <unistd.h>

namespace vpnd {

void wake(int event_fd) noexcept {
  const uint64_t one = 1;
  // An eventfd refuses only when its counter is full, and then the reader is awake anyway.
  [[maybe_unused]] const ssize_t n = write(event_fd, &one, sizeof one);
}

Mailbox::Mailbox(size_t slots, size_t max_size, int wake_fd)
    : ring_(slots), taken_(max_size), max_size_(max_size), wake_fd_(wake_fd) {
  for (Slot& slot : ring_) slot.data.resize(max_size);
}

bool Mailbox::post(const Mail& mail) noexcept {
  if (mail.data.size() > max_size_) return false;
  bool was_empty;
  {
    const std::lock_guard lock(mutex_);
    if (used_ == ring_.size()) return false;
    Slot& slot = ring_[(head_ + used_) % ring_.size()];
    slot.mail = mail;
    slot.mail.data = {};
    slot.size = mail.data.size();
    if (!mail.data.empty()) memcpy(slot.data.data(), mail.data.data(), mail.data.size());
    was_empty = used_++ == 0;
  }
  if (was_empty) wake(wake_fd_);
  return true;
}

bool Mailbox::take(Mail& out) noexcept {
  const std::lock_guard lock(mutex_);
  if (used_ == 0) return false;
  Slot& slot = ring_[head_];
  out = slot.mail;
  taken_.swap(slot.data);
  out.data = {taken_.data(), slot.size};
  head_ = (head_ + 1) % ring_.size();
  used_--;
  return true;
}

}  // namespace vpnd
