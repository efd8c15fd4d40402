#include "path_mtu.h"

#include <algorithm>
#include <array>

namespace vpnd {

namespace {

// Outer sizes. Below the base hardly any path is; 576 every IPv4 host takes in one piece (RFC 791).
constexpr size_t kBase = 1200;
constexpr size_t kLeast = 576;
// What links and tunnels have, so that the search ends early and at the very size.
constexpr std::array<size_t, 20> kCommon = {1280, 1300, 1320, 1340, 1350, 1360, 1372, 1380, 1392, 1400,
                                            1412, 1420, 1432, 1440, 1450, 1460, 1472, 1480, 1492, 1500};
// Between two sizes that are not common ones the search ends when they are this close.
constexpr size_t kFineEnough = 16;
constexpr uint64_t kUnknownRttMs = 500;
constexpr uint64_t kShortestMs = 250;
constexpr uint64_t kLongestMs = 3'000;
constexpr uint64_t kSuspectMs = 1'000;

uint64_t timeout_ms(uint64_t rtt_ns) {
  if (rtt_ns == 0) return kUnknownRttMs;
  return std::clamp(3 * (rtt_ns / 1'000'000), kShortestMs, kLongestMs);
}

}  // namespace

size_t PathMtu::base() const { return std::min(top_, kBase > overhead_ ? kBase - overhead_ : top_); }
size_t PathMtu::least() const { return std::min(top_, kLeast > overhead_ ? kLeast - overhead_ : top_); }

void PathMtu::start(size_t overhead, uint64_t now_ms) {
  overhead_ = overhead;
  ask(State::confirm, top_, now_ms);
}

void PathMtu::stop() { state_ = State::off; }

void PathMtu::ask(State state, size_t size, uint64_t now_ms) {
  state_ = state;
  size_ = size;
  token_ = 0;
  tries_ = 0;
  due_ms_ = now_ms;
}

void PathMtu::settle(uint64_t now_ms) {
  state_ = State::steady;
  settled_ms_ = now_ms;
  confirm_at_ms_ = now_ms + kConfirmMs;
}

std::optional<PathMtu::Probe> PathMtu::poll(uint64_t now_ms, uint64_t traffic_ms, uint64_t rtt_ns, uint64_t random) {
  if (state_ == State::steady) {
    // A path that carries nothing is not looked at.
    if (traffic_ms < settled_ms_ || now_ms < confirm_at_ms_) return std::nullopt;
    if (mtu_ < top_ && now_ms >= raise_at_ms_) {
      raise_at_ms_ = now_ms + kRaiseMs;
      fits_ = mtu_;
      too_big_ = top_ + 1;
      ask(State::search, top_, now_ms);
    } else {
      ask(State::confirm, mtu_, now_ms);
    }
  }
  if (state_ == State::off || now_ms < due_ms_) return std::nullopt;
  if (tries_ == kTries) {
    lost(now_ms);
    if (state_ == State::steady) return std::nullopt;
  }
  // 0 stands for a size that was never sent.
  if (token_ == 0) token_ = random | 1;
  tries_++;
  due_ms_ = now_ms + timeout_ms(rtt_ns);
  return Probe{size_, token_};
}

bool PathMtu::answered(uint64_t token, size_t size, uint64_t now_ms) {
  if (state_ == State::off || state_ == State::steady || token_ == 0 || token != token_ || size != size_) return false;
  mtu_ = size;
  if (state_ == State::confirm) {
    settle(now_ms);
    return true;
  }
  if (state_ == State::base || state_ == State::least) raise_at_ms_ = now_ms + kRaiseMs;
  fits_ = size;
  narrow(now_ms);
  return true;
}

void PathMtu::refused(uint64_t now_ms) {
  if (state_ == State::off || state_ == State::steady) return;
  // As if all attempts were lost, and certain: what is as large can't leave this machine.
  if (mtu_ >= size_) mtu_ = std::min(size_, base());
  tries_ = kTries;
  due_ms_ = now_ms;
}

void PathMtu::suspect(uint64_t now_ms) {
  if (state_ == State::steady && now_ms >= settled_ms_ + kSuspectMs) ask(State::confirm, mtu_, now_ms);
}

void PathMtu::lost(uint64_t now_ms) {
  switch (state_) {
    case State::confirm:
      too_big_ = size_;
      return size_ > base() ? ask(State::base, base(), now_ms)
             : size_ > least() ? ask(State::least, least(), now_ms) : settle(now_ms);
    case State::base:
      too_big_ = size_;
      return size_ > least() ? ask(State::least, least(), now_ms) : settle(now_ms);
    case State::search:
      too_big_ = size_;
      return narrow(now_ms);
    case State::least:
      // Not the size but the peer, or the whole path.
      return settle(now_ms);
    case State::off:
    case State::steady:
      return;
  }
}

// Next size between what fits and what does not: a common one in the middle of those left, else the middle.
void PathMtu::narrow(uint64_t now_ms) {
  std::array<size_t, kCommon.size()> left;
  size_t count = 0;
  for (const size_t outer : kCommon) {
    const size_t size = outer > overhead_ ? outer - overhead_ : 0;
    if (size > fits_ && size < too_big_ && size <= top_) left[count++] = size;
  }
  if (count > 0) return ask(State::search, left[count / 2], now_ms);
  if (too_big_ > fits_ + kFineEnough) return ask(State::search, fits_ + (too_big_ - fits_) / 2, now_ms);
  settle(now_ms);
}

}  // namespace vpnd
