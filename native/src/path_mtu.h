// Path MTU of a peer, found by probing (RFC 8899): what fits is learnt from answers only, ICMP may be forged or missing.
// Pure: time and randomness come in. All sizes are those of inner packets; a probe of N bytes stands for a packet of N bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

namespace vpnd {

class PathMtu {
 public:
  struct Probe {
    size_t size;
    uint64_t token;  // of the size, not of the attempt: a late answer counts
  };
  static constexpr uint64_t kNever = UINT64_MAX;
  static constexpr unsigned kTries = 3;
  static constexpr uint64_t kConfirmMs = 10'000;
  static constexpr uint64_t kRaiseMs = 600'000;

  // `top`: the configured MTU; nothing larger is ever probed.
  explicit PathMtu(size_t top) : top_(top), mtu_(top) {}

  // A new path: the configured MTU is probed at once, and the MTU known so far is used until that is answered.
  // `overhead`: bytes that surround an inner packet on this path, outer IP and UDP headers included.
  void start(size_t overhead, uint64_t now_ms);
  // No session, or a peer that answers no probes.
  void stop();

  // What to send now; call it at due_ms(), after each answer, and now and then. `traffic_ms`: when a packet was last sent.
  // `rtt_ns`: 0 when unknown.
  std::optional<Probe> poll(uint64_t now_ms, uint64_t traffic_ms, uint64_t rtt_ns, uint64_t random);
  // When poll() wants to be called next; kNever: at leisure.
  uint64_t due_ms() const { return state_ == State::off || state_ == State::steady ? kNever : due_ms_; }
  // The peer answered. True: it was the answer awaited.
  bool answered(uint64_t token, size_t size, uint64_t now_ms);
  // The kernel refused the last probe as too large for its device.
  void refused(uint64_t now_ms);
  // A packet was refused as too large: look again.
  void suspect(uint64_t now_ms);

  // The largest inner packet, as far as it is known.
  size_t mtu() const { return mtu_; }
  bool running() const { return state_ != State::off; }
  // No question is open: the MTU is what answers say.
  bool settled() const { return state_ == State::steady; }

 private:
  //  confirm --answered--> steady        the size in use, or the configured one, passes
  //     '--lost--> base --answered--> search ... steady
  //                  '--lost--> least --answered--> search
  //                               '--lost--> steady, nothing changes: the peer is away
  enum class State : uint8_t { off, steady, confirm, base, least, search };

  size_t base() const;
  size_t least() const;
  void ask(State state, size_t size, uint64_t now_ms);
  void settle(uint64_t now_ms);
  void lost(uint64_t now_ms);
  void narrow(uint64_t now_ms);

  const size_t top_;
  size_t mtu_;
  size_t overhead_ = 0;
  State state_ = State::off;
  size_t size_ = 0;        // asked
  uint64_t token_ = 0;     // of size_; 0: not sent yet
  unsigned tries_ = 0;
  uint64_t due_ms_ = 0;
  size_t fits_ = 0;        // search: largest size answered
  size_t too_big_ = 0;     // search: smallest size lost
  uint64_t confirm_at_ms_ = 0;
  uint64_t raise_at_ms_ = 0;
  uint64_t settled_ms_ = 0;
};

}  // namespace vpnd
