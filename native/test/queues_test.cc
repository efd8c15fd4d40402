#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "check.h"
#include "event_queue.h"
#include "mailbox.h"
#include "reclaim.h"

using namespace vpnd;

TEST(mailbox, "mailbox: keeps order and content, refuses what does not fit") {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  Mailbox box(3, 10, fd);
  Mail mail;
  CHECK(!box.take(mail));
  const Bytes data{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  CHECK(!box.post({Mail::Kind::dtls, {}, 0, 0, data}));
  // Several times around the ring.
  uint32_t in = 0, out = 0;
  for (int round = 0; round < 20; round++) {
    while (box.post({Mail::Kind::control, {}, in, in + 1, View(data).subspan(0, in % 11)})) in++;
    CHECK(in - out == 3);
    for (int i = 0; i <= round % 3; i++) {
      CHECK(box.take(mail));
      CHECK(mail.kind == Mail::Kind::control && mail.rx_index == out && mail.peer_id == out + 1);
      CHECK(mail.data.size() == out % 11 && std::equal(mail.data.begin(), mail.data.end(), data.begin()));
      out++;
    }
  }
  uint64_t woken = 0;
  CHECK(read(fd, &woken, sizeof woken) == sizeof woken);
  while (box.take(mail)) {}
  CHECK(read(fd, &woken, sizeof woken) < 0);
  CHECK(box.post({}));
  CHECK(read(fd, &woken, sizeof woken) == sizeof woken && woken == 1);
  close(fd);
}

TEST(event_queue, "event queue: datagrams have a small share, what is lost is counted, one wake-up until drained") {
  DropCounters drops;
  int calls = 0;
  EventQueue queue([&] { calls++; }, drops);
  for (int i = 0; i < 100; i++) queue.push_datagram({});
  Event other;
  other.type = Event::Type::up;
  queue.push(other);
  const auto& lost = drops.by_reason[static_cast<size_t>(Drop::event_queue_full)];
  CHECK(lost.get() == 36);
  CHECK(calls == 1);
  CHECK(queue.drain().size() == 65);
  CHECK(queue.drain().empty());
  queue.push(other);
  CHECK(calls == 2);
  for (int i = 0; i < 10000; i++) queue.push(other);
  CHECK(queue.drain().size() == 8192);
}

TEST(reclaim_order, "reclaimer: nothing goes while a reader may hold it") {
  Reclaimer reclaimer;
  int freed = 0;
  reclaimer.enter(0);
  reclaimer.retire([&] { freed++; });
  CHECK(reclaimer.collect() && freed == 0);
  reclaimer.enter(1);  // came later: holds nothing
  CHECK(reclaimer.collect() && freed == 0);
  reclaimer.enter(0);
  CHECK(!reclaimer.collect() && freed == 1);
  reclaimer.retire([&] { freed++; });
  reclaimer.leave(0);
  CHECK(reclaimer.collect() && freed == 1);
  reclaimer.leave(1);
  CHECK(!reclaimer.collect() && freed == 2);
}

TEST(reclaim_threads, "reclaimer: readers never see what was freed") {
  Reclaimer reclaimer;
  constexpr uint64_t kAlive = 0x600dULL;
  std::atomic<uint64_t*> shared{new uint64_t(kAlive)};
  std::atomic<bool> stop{false};
  std::atomic<unsigned> bad{0}, reads{0};
  auto reader = [&](unsigned id) {
    while (!stop) {
      reclaimer.enter(id);
      const uint64_t* p = shared.load(std::memory_order_acquire);
      if (*static_cast<const volatile uint64_t*>(p) != kAlive) bad++;
      reads++;
      if (reads % 7 == 0) reclaimer.leave(id);
    }
    reclaimer.leave(id);
  };
  std::thread one(reader, 0), two(reader, 1);
  for (int i = 0; i < 20000 || reads < 1000; i++) {
    uint64_t* old = shared.exchange(new uint64_t(kAlive));
    reclaimer.retire([old] {
      *old = 0;
      delete old;
    });
    reclaimer.collect();
  }
  stop = true;
  one.join();
  two.join();
  CHECK(!reclaimer.collect());
  CHECK(bad == 0);
  delete shared.load();
}
