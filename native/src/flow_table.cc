#include "flow_table.h"

#include <openssl/rand.h>

#include <array>
#include <bit>

namespace vpnd {

namespace {

// Seconds. TCP: RFC 5382 REQ-5, UDP: RFC 4787 REQ-5, ICMP: RFC 5508 REQ-2; a fragment: RFC 791.
constexpr std::array<uint32_t, static_cast<size_t>(FlowKind::count)> kLives = {7500, 300, 60, 600, 30};

uint64_t pack(FlowKind kind, uint16_t generation, uint32_t now) {
  return static_cast<uint64_t>(kind) << 48 | static_cast<uint64_t>(generation) << 32 | now;
}
FlowKind kind_of(uint64_t state) { return static_cast<FlowKind>(state >> 48); }
uint32_t time_of(uint64_t state) { return static_cast<uint32_t>(state); }

// Another thread's clock may be a little ahead.
uint32_t age(uint64_t state, uint32_t now) { return now > time_of(state) ? now - time_of(state) : 0; }

bool lives(uint64_t state, uint16_t generation, uint32_t now) {
  const FlowKind kind = kind_of(state);
  if (kind != FlowKind::tcp && static_cast<uint16_t>(state >> 32) != generation) return false;
  return age(state, now) <= kLives[static_cast<size_t>(kind)];
}

// The product of two words, folded: each bit of both is in all of it.
uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
}

uint64_t word(const uint8_t* p) {
  uint64_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

}  // namespace

FlowTable::FlowTable(size_t flows)
    : mask_(std::bit_ceil(flows < kSlots ? kSlots : flows) / kSlots - 1), buckets_(std::make_unique<Bucket[]>(mask_ + 1)) {
  RAND_bytes(reinterpret_cast<uint8_t*>(secrets_), sizeof secrets_);
}

uint64_t FlowTable::tag_of(const FlowKey& key) const noexcept {
  const uint8_t* l = key.local.bytes.data();
  const uint8_t* r = key.remote.bytes.data();
  const uint64_t rest = static_cast<uint64_t>(key.local.family) << 40 | static_cast<uint64_t>(key.protocol) << 32 |
                        static_cast<uint64_t>(key.local_port) << 16 | key.remote_port;
  const uint64_t local = mix(word(l) ^ secrets_[0], word(l + 8) ^ secrets_[1]);
  const uint64_t remote = mix(word(r) ^ secrets_[2], word(r + 8) ^ secrets_[3]);
  const uint64_t whole = mix(mix(local, remote ^ secrets_[4]) ^ secrets_[5], rest ^ secrets_[4]);
  // Once more: flows whose ports follow each other differ in some bits only, and the lowest choose the bucket.
  const uint64_t tag = mix(whole, secrets_[0] | 1);
  return tag == 0 ? 1 : tag;
}

FlowTable::Slot* FlowTable::find(uint64_t tag) const noexcept {
  for (Slot& slot : buckets_[tag & mask_].slots) {
    if (slot.tag.load(std::memory_order_relaxed) == tag) return &slot;
  }
  return nullptr;
}

void FlowTable::open(const FlowKey& key, FlowKind kind, uint16_t generation, uint32_t now) noexcept {
  const uint64_t tag = tag_of(key), state = pack(kind, generation, now);
  if (Slot* slot = find(tag)) {
    // Once a second, so that the line stays with both threads.
    if (slot->state.load(std::memory_order_relaxed) != state) slot->state.store(state, std::memory_order_relaxed);
    return;
  }
  Slot* victim = nullptr;
  uint64_t most = 0;
  for (Slot& slot : buckets_[tag & mask_].slots) {
    const uint64_t old = slot.state.load(std::memory_order_relaxed);
    const bool free = slot.tag.load(std::memory_order_relaxed) == 0 || !lives(old, generation, now);
    const uint64_t idle = free ? UINT64_MAX : uint64_t{age(old, now)} + 1;
    if (idle <= most) continue;
    most = idle;
    victim = &slot;
  }
  victim->tag.store(tag, std::memory_order_relaxed);
  victim->state.store(state, std::memory_order_relaxed);
}

bool FlowTable::refresh(const FlowKey& key, uint16_t generation, uint32_t now) noexcept {
  Slot* slot = find(tag_of(key));
  if (!slot) return false;
  const uint64_t state = slot->state.load(std::memory_order_relaxed);
  if (!lives(state, generation, now)) return false;
  if (age(state, now) != 0) slot->state.store(pack(kind_of(state), generation, now), std::memory_order_relaxed);
  return true;
}

bool FlowTable::has(const FlowKey& key, uint16_t generation, uint32_t now) const noexcept {
  const Slot* slot = find(tag_of(key));
  return slot && lives(slot->state.load(std::memory_order_relaxed), generation, now);
}

}  // namespace vpnd
