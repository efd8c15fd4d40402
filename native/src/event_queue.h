// Bounded queue from native threads to TypeScript; what does not fit is counted, never waited for.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "bytes.h"
#include "counters.h"

namespace vpnd {

// Mirrors EngineEvent of src/daemon/core/engine.ts; each type uses the fields named there, the others stay empty.
struct Event {
  enum class Type : uint8_t { datagram, hello, foreign, up, failed, wrong_psk, closed, silent, alive, path, pong, control, rekey_due };
  Type type = Type::datagram;
  uint32_t assoc = 0;
  uint32_t tag = 0;
  uint32_t peer = 0;
  uint32_t capabilities = 0;
  uint32_t epoch = 0;      // id of the PSK epoch that the association runs under; 0: not known yet
  uint8_t role = 0;        // 1 client, 2 server
  uint8_t reason = 0;      // failed: Failure; closed: reason
  uint8_t refusal = 0;     // failed: 0 none
  uint8_t alert = 0;       // failed: 0 none
  uint8_t cipher = 0;
  bool foreign = false;
  bool rekey = false;
  uint64_t token = 0;
  uint64_t rtt_ns = 0;
  std::string endpoint;    // "ADDR:PORT"
  std::string inner_source;
  Bytes node_key;
  Bytes data;              // datagram, record or control message
};

enum class Failure : uint8_t { timeout, wrong_psk, refused, alert, hello_timeout, aborted, overload, signature };

class EventQueue {
 public:
  // `on_event` is called from native threads when the queue was empty.
  EventQueue(std::function<void()> on_event, DropCounters& drops) : on_event_(std::move(on_event)), drops_(drops) {}

  // Events of the control thread: few by nature, a generous bound.
  void push(Event event) { push_bounded(std::move(event), kMaxEvents); }
  // Datagrams from anybody: a small share, so that a flood displaces no events.
  void push_datagram(Event event) { push_bounded(std::move(event), kMaxDatagrams); }
  std::deque<Event> drain();

 private:
  static constexpr size_t kMaxEvents = 8192;
  static constexpr size_t kMaxDatagrams = 64;
  void push_bounded(Event event, size_t bound);

  std::function<void()> on_event_;
  DropCounters& drops_;
  std::mutex mutex_;
  std::deque<Event> events_;
  size_t datagrams_ = 0;
};

}  // namespace vpnd
