// What the packet threads and the control thread share.
#pragma once
#include <atomic>
#include <algorithm>
#include <memory>

#include "clock.h"
#include "counters.h"
#include "event_queue.h"
#include "filter.h"
#include "mailbox.h"
#include "peer.h"
#include "prefix_table.h"
#include "queue.h"
#include "reclaim.h"
#include "session.h"
#include "unknown_destinations.h"

namespace vpnd {

struct Dataplane {
  Dataplane(std::vector<Queue> queues_, size_t mtu_, unsigned lanes_, int control_wake, std::function<void()> on_event)
      : queues(std::move(queues_)), tun(queues[0].tun), sockets(queues[0].sockets), mtu(mtu_), lanes(lanes_), events(std::move(on_event), drops),
        control_mail(1024, std::max<size_t>(2048, mtu_ + 256), control_wake),
        handshake_mail(512, 2048, control_wake),
        newcomer_mail(256, 2048, control_wake) {}
  ~Dataplane() {
    delete routes.load();
    delete filter.load();
  }

  const std::vector<Queue> queues;  // one for each packet thread, or one in all
  // The first queue's, which threads that handle few packets use.
  const Tun& tun;
  const UdpSockets& sockets;
  const size_t mtu;      // largest inner packet, bytes
  // The same towards one peer: less when its path carries less.
  size_t mtu_to(const Peer& peer) const noexcept {
    const size_t path = peer.mtu.load(std::memory_order_relaxed);
    return path == 0 ? mtu : std::min(mtu, path);
  }
  const unsigned lanes;  // the control thread and the packet threads, for their ciphers (aead.h)

  // Never null once the engine is made; find() within a Reclaimer section.
  std::atomic<const PrefixTable*> routes{new PrefixTable({})};
  // Null: everything may come in. Within a Reclaimer section.
  std::atomic<const Filter*> filter{nullptr};
  SessionStore sessions;
  Reclaimer reclaimer;

  DropCounters drops;
  Traffic tx;
  Traffic rx;
  UnknownDestinations unknown;

  EventQueue events;
  // Several boxes, so that a flood of handshakes displaces nothing of authenticated peers, and one of ClientHellos, which anybody
  // can forge, nothing of handshakes under way.
  Mailbox control_mail;
  Mailbox handshake_mail;
  Mailbox newcomer_mail;

  std::atomic<bool> stopping{false};
};

}  // namespace vpnd
