// hot: What this host has sent, so that the answers are known: a table of fixed size, for all threads, without locks.
#pragma once
#include <atomic>
#include <memory>

#include "address.h"

namespace vpnd {

// What a flow is told from others by, as the host that sends sees it.
struct FlowKey {
  Address local;
  Address remote;
  uint8_t protocol = 0;
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
};

// How long a flow is remembered after it was last used.
enum class FlowKind : uint8_t { tcp, udp, icmp, other, fragment, count };

// A flow is kept as a keyed hash of 64 bits, so that nobody can make two that are taken for each other. When there is no room where
// one belongs, the one there that was not used for longest is forgotten. All numbers of seconds are of one monotonic clock.
class FlowTable {
 public:
  // Room for so many, rounded up to a power of two.
  explicit FlowTable(size_t flows);

  // Makes it, or says that it was used. `generation`: of the rules; flows but TCP's are of no use under later ones.
  void open(const FlowKey& key, FlowKind kind, uint16_t generation, uint32_t now) noexcept;
  // Says that it was used; false: it is not there.
  bool refresh(const FlowKey& key, uint16_t generation, uint32_t now) noexcept;
  bool has(const FlowKey& key, uint16_t generation, uint32_t now) const noexcept;

 private:
  static constexpr size_t kSlots = 4;
  // Two words that are written one after the other: a reader that meets the middle of it takes a flow for a little younger or
  // older than it is.
  struct Slot {
    std::atomic<uint64_t> tag{0};  // 0: free
    std::atomic<uint64_t> state{0};
  };
  struct alignas(64) Bucket {
    Slot slots[kSlots];
  };

  uint64_t tag_of(const FlowKey& key) const noexcept;
  Slot* find(uint64_t tag) const noexcept;

  size_t mask_;
  uint64_t secrets_[6];
  std::unique_ptr<Bucket[]> buckets_;
};

}  // namespace vpnd
