// Bounded queue from packet threads to the control thread. All memory is allocated at the start: nothing that a stranger sends
// makes vpnd allocate.
#pragma once
#include <cstdint>
#include <mutex>
#include <vector>

#include "address.h"
#include "bytes.h"

namespace vpnd {

struct Mail {
  enum class Kind : uint8_t {
    dtls,           // datagram with DTLS records, from anybody
    punch,          // one-byte datagram, from anybody
    control,        // plaintext of an authentic control message; rx_index is its session
    roam,           // authentic fresh record from another address than the peer's path
    confirmed,      // first authentic record of a session
    foreign_packet, // inner packet for the foreign peer peer_id
    too_big         // the kernel refused a record for peer_id as larger than its device carries
  };
  Kind kind = Kind::dtls;
  Endpoint from;
  uint32_t rx_index = 0;
  uint32_t peer_id = 0;
  View data;  // valid until the next take()
};

class Mailbox {
 public:
  // `wake_fd` is an eventfd written when the box was empty; `max_size` is the largest data, bytes.
  Mailbox(size_t slots, size_t max_size, int wake_fd);
  // Any thread. False: full, or data too large; the caller counts it.
  bool post(const Mail& mail) noexcept;
  // Control thread. False: empty.
  bool take(Mail& out) noexcept;

 private:
  struct Slot {
    Mail mail;
    size_t size = 0;
    std::vector<uint8_t> data;
  };
  std::mutex mutex_;
  std::vector<Slot> ring_;
  std::vector<uint8_t> taken_;
  size_t head_ = 0;  // next to take
  size_t used_ = 0;
  size_t max_size_;
  int wake_fd_;
};

void wake(int event_fd) noexcept;

}  // namespace vpnd
