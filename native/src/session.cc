#include "session.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace vpnd {

namespace {
constexpr size_t kStoreSize = sizeof(SessionState) * SessionStore::kSlots;
}

bool Session::make_ciphers(unsigned lanes) {
  sealer = Aead::make(cipher, state->tx_key, Aead::Direction::seal, lanes);
  opener = Aead::make(cipher, state->rx_key, Aead::Direction::open, lanes);
  if (lanes > 2) replay_guard.share();
  return sealer && opener;
}

SessionStore::SessionStore() : table_(new std::atomic<Session*>[kSlots]()) {
  fd_ = memfd_create("vpnd-sessions", MFD_CLOEXEC);
  // The file is sparse: slots cost memory only once they are used.
  if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(kStoreSize)) != 0) return;
  void* p = mmap(nullptr, kStoreSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (p == MAP_FAILED) return;
  madvise(p, kStoreSize, MADV_DONTDUMP);
  states_ = static_cast<SessionState*>(p);
}

SessionStore::~SessionStore() {
  if (states_) {
    OPENSSL_cleanse(states_, sizeof(SessionState) * unused_);
    munmap(states_, kStoreSize);
  }
  if (fd_ >= 0) close(fd_);
}

SessionState* SessionStore::take() {
  uint32_t slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (unused_ < kSlots) {
    slot = unused_++;
  } else {
    return nullptr;
  }
  uint32_t random = 0;
  while ((random >> kSlotBits) == 0) {
    if (RAND_bytes(reinterpret_cast<uint8_t*>(&random), sizeof random) != 1) {
      free_.push_back(slot);
      return nullptr;
    }
  }
  SessionState* state = new (&states_[slot]) SessionState{};
  state->rx_index = (random >> kSlotBits << kSlotBits) | slot;
  return state;
}

void SessionStore::give_back(SessionState* state) {
  const uint32_t slot = static_cast<uint32_t>(state - states_);
  OPENSSL_cleanse(static_cast<void*>(state), sizeof *state);
  free_.push_back(slot);
}

void SessionStore::publish(Session* session) {
  table_[session->rx_index & (kSlots - 1)].store(session, std::memory_order_release);
}

void SessionStore::unpublish(uint32_t rx_index) {
  table_[rx_index & (kSlots - 1)].store(nullptr, std::memory_order_release);
}

}  // namespace vpnd
