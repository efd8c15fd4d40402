#include "bench_delay.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "clock.h"

namespace vpnd::driver {

namespace {

volatile sig_atomic_t stopping = 0;

// Frames on their way in one direction, in a ring of bytes; what does not fit is lost, as in any queue.
class Cable {
 public:
  Cable(int from, int to, uint64_t delay_ns) : from_(from), to_(to), delay_ns_(delay_ns), ring_(kRing) {}

  int from() const { return from_; }
  uint64_t carried() const { return carried_; }
  uint64_t lost() const { return lost_; }
  // When the next frame is due; UINT64_MAX: nothing is on its way.
  uint64_t due() const { return head_ == tail_ ? UINT64_MAX : at(tail_ % kRing)->due; }

  // Takes what waits, at most some frames so that the others get their turn.
  void receive() {
    for (int i = 0; i < 64; i++) {
      const bool full = head_ + 2 * kLargest - tail_ > kRing;
      // A frame is in one piece: the end of the ring, where the largest would not fit, is left out.
      if (!full && kRing - head_ % kRing < kLargest) head_ += skip(head_ % kRing);
      uint8_t* place = full ? spare_ : &ring_[head_ % kRing];
      const ssize_t n = recv(from_, place + sizeof(Frame), kLargest - sizeof(Frame), MSG_DONTWAIT);
      if (n <= 0) return;
      if (full) {
        lost_++;
        continue;
      }
      Frame* frame = at(head_ % kRing);
      frame->due = now_ns() + delay_ns_;
      frame->size = static_cast<uint32_t>(n);
      frame->skipped = false;
      head_ += room(frame->size);
    }
  }

  void send_due(uint64_t now) {
    while (head_ != tail_) {
      const Frame* frame = at(tail_ % kRing);
      if (!frame->skipped) {
        if (frame->due > now) return;
        const uint8_t* data = &ring_[tail_ % kRing] + sizeof(Frame);
        if (send(to_, data, frame->size, MSG_DONTWAIT) < 0) lost_++;
        else carried_++;
      }
      tail_ += frame->skipped ? frame->size : room(frame->size);
    }
  }

 private:
  struct Frame {
    uint64_t due;
    uint32_t size;  // of the frame and its virtio header; of all, if skipped
    bool skipped;
  };
  static constexpr size_t kRing = 64 << 20;
  static constexpr size_t kVirtioHeader = 10;  // struct virtio_net_hdr; linux/virtio_net.h is not always fit for C++
  static constexpr size_t kLargest = sizeof(Frame) + kVirtioHeader + 65536 + 256;

  static size_t room(size_t size) { return (sizeof(Frame) + size + 15) & ~size_t{15}; }
  Frame* at(size_t place) { return reinterpret_cast<Frame*>(&ring_[place]); }
  const Frame* at(size_t place) const { return reinterpret_cast<const Frame*>(&ring_[place]); }
  size_t skip(size_t place) {
    Frame* frame = at(place);
    frame->due = 0;
    frame->size = static_cast<uint32_t>(kRing - place);
    frame->skipped = true;
    return frame->size;
  }

  int from_;
  int to_;
  uint64_t delay_ns_;
  std::vector<uint8_t> ring_;
  size_t head_ = 0;
  size_t tail_ = 0;
  uint64_t carried_ = 0;
  uint64_t lost_ = 0;
  alignas(16) uint8_t spare_[kLargest];
};

// Frames come with what the kernel knows about their checksums and sizes, so that they may leave as they came.
int open_device(const char* name) {
  const unsigned index = if_nametoindex(name);
  const int fd = index == 0 ? -1 : socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1, buffer = 16 << 20;
  packet_mreq all{};
  all.mr_ifindex = static_cast<int>(index);
  all.mr_type = PACKET_MR_PROMISC;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(index);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  const bool ok = setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0 &&
                  setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0 &&
                  setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) == 0 &&
                  bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (ok) return fd;
  close(fd);
  return -1;
}

void run(std::vector<std::unique_ptr<Cable>>& cables, const sigset_t& while_waiting) {
  std::vector<pollfd> polls;
  for (const auto& cable : cables) polls.push_back({cable->from(), POLLIN, 0});
  while (stopping == 0) {
    uint64_t due = UINT64_MAX;
    for (const auto& cable : cables) due = std::min(due, cable->due());
    const uint64_t now = now_ns();
    const uint64_t wait = due == UINT64_MAX || due - std::min(due, now) > 1'000'000'000 ? 1'000'000'000 : due - std::min(due, now);
    const timespec timeout{static_cast<time_t>(wait / 1'000'000'000), static_cast<long>(wait % 1'000'000'000)};
    if (ppoll(polls.data(), polls.size(), &timeout, &while_waiting) < 0 && errno != EINTR) return;
    for (size_t i = 0; i < cables.size(); i++) {
      if (polls[i].revents != 0) cables[i]->receive();
    }
    for (const auto& cable : cables) cable->send_due(now_ns());
  }
}

}  // namespace

int bench_delay(int count, char** arguments) {
  std::vector<std::unique_ptr<Cable>> cables;
  for (int i = 0; i < count; i++) {
    const char* const* line = &arguments[i * 3];
    const int a = open_device(line[0]), b = open_device(line[1]);
    const double ms = atof(line[2]);
    if (a < 0 || b < 0 || !(ms >= 0 && ms <= 10000)) {
      fprintf(stderr, "driver: no cable between %s and %s of %s ms: %s\n", line[0], line[1], line[2], strerror(errno));
      return 1;
    }
    cables.push_back(std::make_unique<Cable>(a, b, static_cast<uint64_t>(ms * 1e6)));
    cables.push_back(std::make_unique<Cable>(b, a, static_cast<uint64_t>(ms * 1e6)));
  }
  sigset_t blocked, while_waiting;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &while_waiting);
  signal(SIGTERM, [](int) { stopping = 1; });
  printf("ready\n");
  fflush(stdout);
  run(cables, while_waiting);
  uint64_t carried = 0, lost = 0;
  for (const auto& cable : cables) {
    carried += cable->carried();
    lost += cable->lost();
  }
  printf("%llu frames carried, %llu lost\n", static_cast<unsigned long long>(carried), static_cast<unsigned long long>(lost));
  return 0;
}

}  // namespace vpnd::driver
