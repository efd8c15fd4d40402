#include "event_queue.h"

namespace vpnd {

void EventQueue::push_bounded(Event event, size_t bound) {
  const bool datagram = event.type == Event::Type::datagram;
  bool was_empty;
  {
    const std::lock_guard lock(mutex_);
    if ((datagram ? datagrams_ : events_.size()) >= bound) {
      drops_.add(Drop::event_queue_full);
      return;
    }
    was_empty = events_.empty();
    if (datagram) datagrams_++;
    events_.push_back(std::move(event));
  }
  if (was_empty) on_event_();
}

std::deque<Event> EventQueue::drain() {
  const std::lock_guard lock(mutex_);
  datagrams_ = 0;
  return std::exchange(events_, {});
}

}  // namespace vpnd
