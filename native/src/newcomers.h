// Handshakes that others began and have not finished: how many there may be, how often a source may begin, who has to go when
// there are too many. A source is an IPv4 address or an IPv6 /64, proved by a cookie; all state is bounded. Control thread only.
#pragma once
#include <deque>
#include <unordered_map>

#include "address.h"
#include "token_bucket.h"

namespace vpnd {

class Newcomers {
 public:
  static constexpr size_t kMaxOpen = 512;
  static constexpr size_t kMaxOpenOfSource = 64;
  static constexpr unsigned kSourceRate = 8;  // handshakes a second that come to nothing
  static constexpr unsigned kSourceBurst = 128;
  // A handshake costs a quarter of a millisecond, so this is a quarter of the thread.
  static constexpr unsigned kRate = 1000;
  static constexpr unsigned kBurst = 1000;

  // `seed`: random, so that nobody can choose addresses that collide.
  explicit Newcomers(uint64_t seed) : sources_(0, Hash{seed}) {}

  // Whether a handshake may begin. Takes nothing, so that forged sources use up nobody's share. While all together begin too
  // many, only sources that have not come in vain lately may.
  bool welcome(const Address& from, uint64_t now_ms) const;
  // One begins. The number of the one that has to go for it, or 0: the oldest of the source that holds the most.
  uint32_t begin(const Address& from, uint32_t id, uint64_t now_ms);
  // It went well: it is not held against its source. Not yet the end.
  void succeed(const Address& from);
  void end(const Address& from, uint32_t id);

  size_t open() const { return open_; }
  size_t sources() const { return sources_.size(); }

 private:
  static constexpr size_t kMaxSources = 4096;
  struct Source {
    TokenBucket share{kSourceRate, kSourceBurst};
    std::deque<uint32_t> open;  // oldest first
  };
  struct Hash {
    uint64_t seed;
    size_t operator()(const Address& a) const { return hash_bytes(a.bytes.data(), a.bytes.size(), seed + a.family); }
  };
  Source& source(const Address& from, uint64_t now_ms);
  uint32_t oldest_of_greediest() const;

  TokenBucket all_{kRate, kBurst};
  std::unordered_map<Address, Source, Hash> sources_;
  size_t open_ = 0;
};

}  // namespace vpnd
