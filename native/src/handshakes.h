// All DTLS associations of an engine: routing of DTLS datagrams, handshakes, HELLO, and traffic with foreign peers.
// Control thread only.
#pragma once
#include <functional>
#include <unordered_map>

#include "association.h"
#include "epoch_guesses.h"
#include "newcomers.h"
#include "peers.h"

namespace vpnd {

class Handshakes {
 public:
  // Null context: see DtlsContext::make.
  Handshakes(Dataplane& dataplane, Timers& timers, Peers& peers, std::unique_ptr<DtlsContext> context, Identity identity);
  ~Handshakes();

  void set_identity(Identity identity);
  // `epoch`: 0 is the preferred one.
  void connect(uint32_t tag, const Endpoint& to, uint32_t epoch);
  void abort(uint32_t tag);
  void admit(uint32_t assoc, uint32_t peer);
  void refuse(uint32_t assoc, uint8_t reason);
  // Ends the peer's associations: close_notify where it is foreign.
  void drop_peer(uint32_t peer);
  void close_all();

  void on_datagram(const Endpoint& from, View datagram);
  void on_confirmed(uint32_t rx_index);
  // An inner packet for a foreign peer.
  void send_foreign(uint32_t peer, View packet);

 private:
  using State = Association::State;
  static constexpr uint64_t kClosingMs = 3'000;  // an association that was refused or closed repeats itself for so long

  Association* find(uint32_t id);
  Association& add(const Endpoint& remote, Role role, uint32_t tag, std::unique_ptr<Dtls> dtls);
  void erase(uint32_t id);
  std::vector<uint32_t> at(const Endpoint& remote) const;  // newest first
  void begin_newcomer(const Endpoint& from, std::unique_ptr<Dtls> dtls, const ClientRandom& random);

  void on_plain_alert(const Endpoint& from, View datagram);
  void on_client_hello(const Endpoint& from, View datagram, const ClientRandom& random);
  // False: the association is gone.
  bool advance(Association& a, View datagram);
  bool step_handshake(Association& a, View datagram);
  bool read_messages(Association& a);
  bool finished(Association& a);

  bool begin_hello(Association& a);
  void send_hello(Association& a);
  bool on_message(Association& a, View message);
  bool on_hello(Association& a, View message);
  bool prepare_session(Association& a, Cipher cipher, Peer* peer);
  void establish(Association& a);

  void on_foreign_packet(Association& a, View packet);
  void admit_foreign(Association& a, uint32_t peer);

  void hint_wrong_psk(Association& a);
  void send_decrypt_error(Association& a);
  void flush(Association& a);
  void arm_timer(Association& a);
  void on_timer(uint32_t id, uint64_t generation);
  void on_deadline(uint32_t id);
  bool newsworthy(const Association& a);
  void linger(Association& a, State state, uint64_t ms);
  void fail(Association& a, Failure reason, uint8_t refusal = 0);
  Event event(Event::Type type, const Association& a) const;

  Dataplane& dataplane_;
  Timers& timers_;
  Peers& peers_;
  Identity identity_;
  std::unique_ptr<NodeKey> node_key_;
  std::unique_ptr<DtlsContext> context_;
  EpochGuesses guesses_;
  Newcomers newcomers_;
  // Of strangers whose PSK is wrong; what is more is nobody's news.
  TokenBucket stranger_events_{20, 100};
  uint32_t next_id_ = 1;
  uint64_t generation_ = 0;
  std::unordered_map<uint32_t, Association> all_;
  std::unordered_multimap<Endpoint, uint32_t, EndpointHash> by_remote_;
  std::unordered_map<uint32_t, uint32_t> foreign_;  // peer -> association
  std::unordered_map<uint32_t, uint32_t> pending_;  // receive index of a session not yet acknowledged -> association
};

}  // namespace vpnd
