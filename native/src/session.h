// A session: keys between two nodes, apart from the paths its records take.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "aead.h"
#include "replay_guard.h"
#include "replay_window.h"

namespace vpnd {

// The part of a session that must survive the process: flat, in shared memory (see SessionStore), no pointers.
struct SessionState {
  uint32_t rx_index;  // 0: the slot is free
  uint32_t tx_index;
  uint8_t cipher;
  uint8_t role;  // 1 DTLS client, 2 server
  uint8_t reserved[6];
  uint8_t tx_key[kMaxKeySize];
  uint8_t rx_key[kMaxKeySize];
  uint8_t tx_iv[kNonceSize];
  uint8_t rx_iv[kNonceSize];
  // Next sequence to send; taken by atomic add, so that no two threads (or processes) ever use the same.
  std::atomic<uint64_t> tx_sequence;
  ReplayWindow replay;  // used within Session::replay_guard
};

struct Peer;

struct Session {
  SessionState* state = nullptr;
  Peer* peer = nullptr;
  uint32_t rx_index = 0;
  uint32_t tx_index = 0;
  Cipher cipher = Cipher::aes128_gcm;
  uint32_t assoc = 0;
  // Set by the first authentic record, which stands for an acknowledgement.
  std::atomic<bool> confirmed{false};
  // A roam message is on its way to the control thread.
  std::atomic<bool> roam_pending{false};
  std::unique_ptr<Aead> sealer;
  std::unique_ptr<Aead> opener;
  ReplayGuard replay_guard;

  // Makes sealer and opener of `cipher` and the keys in `state`, for kControlLane and lanes - 1 packet threads.
  // False: there are not so many lanes.
  bool make_ciphers(unsigned lanes);
};

// Slots of SessionState in a memfd, found by receive index: the low bits are the slot, the rest is random. Slots are taken and
// freed by the control thread; find() is for everybody, within a Reclaimer section.
class SessionStore {
 public:
  static constexpr uint32_t kSlotBits = 17;
  static constexpr uint32_t kSlots = 1u << kSlotBits;

  SessionStore();
  ~SessionStore();
  SessionStore(const SessionStore&) = delete;
  SessionStore& operator=(const SessionStore&) = delete;

  bool valid() const { return states_ != nullptr; }
  // A free slot with a fresh receive index; null when all are taken.
  SessionState* take();
  // Wipes the keys. The session must not be reachable any more.
  void give_back(SessionState* state);
  void publish(Session* session);
  void unpublish(uint32_t rx_index);
  Session* find(uint32_t rx_index) const {
    Session* s = table_[rx_index & (kSlots - 1)].load(std::memory_order_acquire);
    return s && s->rx_index == rx_index ? s : nullptr;
  }

 private:
  int fd_ = -1;
  SessionState* states_ = nullptr;
  std::unique_ptr<std::atomic<Session*>[]> table_;
  std::vector<uint32_t> free_;
  uint32_t unused_ = 0;  // slots from here on were never taken
};

}  // namespace vpnd
