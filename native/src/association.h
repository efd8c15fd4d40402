// One DTLS association on its way from ClientHello to a session, or, with a foreign peer, for as long as it lives.
#pragma once
#include <memory>
#include <optional>

#include "dtls.h"
#include "hello.h"
#include "session.h"

namespace vpnd {

struct Association {
  //  handshake -> hello -> admitted -> established          between two vpnd; gone 10 s later
  //            -> foreign_waiting -> foreign_up             with a foreign peer
  //  any       -> closing                                   refused or closed: lingers to repeat itself
  enum class State : uint8_t { handshake, hello, admitted, established, foreign_waiting, foreign_up, closing };

  uint32_t id = 0;
  uint32_t tag = 0;  // of the connect() that made it; 0: incoming
  Role role = Role::client;
  State state = State::handshake;
  Endpoint remote;
  std::unique_ptr<Dtls> dtls;
  ClientRandom client_random{};    // server only: tells a repeated ClientHello from a new one
  uint64_t timer_generation = 0;   // of the DTLS timer that counts

  bool wrong_psk = false;          // a hint was seen
  bool alert_sent = false;
  uint8_t alert = 0;               // last plain alert of the other side
  unsigned unanswered = 0;         // repetitions of our Finished

  // Between two vpnd.
  Bytes exporter;
  Bytes hello;                     // ours, as sent
  unsigned hello_tries = 0;
  std::optional<Hello> theirs;
  bool acked = false;              // they have our HELLO
  uint32_t rx_index = 0;           // of the session prepared for it; 0: none any more
  Session* session = nullptr;      // until it is installed
  uint32_t peer = 0;               // once admitted
  uint8_t refusal = 0;             // what we refused with

  uint64_t next_source_event_ms = 0;  // foreign_waiting: innerSource events are limited
};

// There is no session yet, and nobody has been admitted.
inline bool half_open(const Association& a) {
  return a.state == Association::State::handshake || a.state == Association::State::hello;
}

}  // namespace vpnd
