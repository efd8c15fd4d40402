// The packet port: what it writes to the device, what it reads from one, and its batches.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <tuple>
#include <utility>

#include "check.h"
#include "clock.h"
#include "packet_port.h"
#include "port_device.h"
#include "port_reader.h"
#include "super_packet.h"
#include "tcp_udp_packets.h"

using namespace vpnd;
using namespace vpnd::test;

namespace {

constexpr size_t kMtu = 1400;
constexpr TunOffloads kAll{.vnet = true, .checksum = true, .tso = true, .uso = true};

struct Port {
  explicit Port(PortItems items, TunOffloads offloads = kAll, size_t mtu = kMtu) : writer(items, mtu, offloads, device, counters) {}
  void write(Batched batch) { writer.write(batch.data, batch.ends); }
  uint64_t dropped(PortDrop reason) const { return counters.drops[static_cast<size_t>(reason)].get(); }
  PortDevice device;
  PortCounters counters;
  PortWriter writer;
};

PacketSpec tcp_of(size_t payload) {
  PacketSpec spec;
  spec.payload = random_bytes(payload);
  return spec;
}

// A datagram socket pair in place of a device without vnet headers.
struct Pair {
  Pair() { CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds) == 0); }
  ~Pair() {
    for (const int fd : fds) {
      if (fd >= 0) close(fd);
    }
  }
  int fds[2];
};

}  // namespace

TEST(port_packets, "port: packets are merged for the device and counted one by one") {
  Port port(PortItems::packets);
  Batched batch;
  const PacketSpec spec = tcp_of(5000);
  const std::vector<Bytes> packets = split_plainly(spec, 1000);
  size_t bytes = 0;
  for (const Bytes& p : packets) {
    batch.add(p);
    bytes += p.size();
  }
  port.write(batch);
  CHECK(port.device.writes.size() == 1 && port.device.packets() == packets);
  CHECK(port.counters.rx.packets.get() == 5 && port.counters.rx.bytes.get() == bytes);
}

TEST(port_bad_ends, "port: ends out of order or out of range end the batch") {
  Port port(PortItems::packets);
  const Bytes packet = build(tcp_of(100));
  Batched batch;
  batch.add(packet);
  batch.ends.push_back(batch.ends[0] - 1);
  batch.ends.push_back(batch.ends[0]);
  port.write(batch);
  batch.ends = {static_cast<uint32_t>(packet.size() + 1)};
  port.write(batch);
  batch.ends = {0xffffffff, 0};
  port.write(batch);
  CHECK(port.device.writes.size() == 1 && port.dropped(PortDrop::bad_batch) == 3);
  batch.ends = {0};  // an empty item
  port.write(batch);
  CHECK(port.dropped(PortDrop::malformed_inner) == 1);
}

TEST(port_not_ip, "port: what is no whole IP packet does not reach the device") {
  Port port(PortItems::packets);
  Batched batch;
  Bytes wrong = build(tcp_of(100));
  wrong[0] = 0x55;
  batch.add(wrong);
  wrong[0] = 0x44;
  batch.add(wrong);
  wrong = build(tcp_of(100));
  wrong.pop_back();
  batch.add(wrong);
  port.write(batch);
  CHECK(port.device.writes.empty() && port.dropped(PortDrop::malformed_inner) == 3);
}

TEST(port_super_whole, "port: a super-packet reaches a device that takes it with one write, others split") {
  for (const bool six : {false, true}) {
    for (const bool udp : {false, true}) {
      PacketSpec spec = tcp_of(9000);
      spec.six = six;
      spec.udp = udp;
      const std::vector<Bytes> packets = split_plainly(spec, 1000);
      Batched batch;
      batch.add(build_super(spec, 1000));
      Port whole(PortItems::supers);
      whole.write(batch);
      CHECK(whole.device.writes.size() == 1 && whole.device.packets() == packets);
      CHECK(whole.counters.rx.packets.get() == 9);
      Port split(PortItems::supers, {});
      split.write(batch);
      CHECK(split.device.writes.size() == 9 && split.device.packets() == packets);
      CHECK(split.counters.rx.packets.get() == 9 && split.counters.rx.bytes.get() == whole.counters.rx.bytes.get());
    }
  }
}

TEST(port_super_shapes, "port: what the kernel need not see whole is split before it") {
  const auto writes = [](const PacketSpec& spec, uint16_t size, size_t mtu = kMtu) {
    Port port(PortItems::supers, kAll, mtu);
    Batched batch;
    batch.add(build_super(spec, size));
    port.write(batch);
    CHECK(port.device.packets() == split_plainly(spec, std::min<size_t>(size, mtu - (spec.six ? 60 : 40) - spec.ip_options.size())));
    return port.device.writes.size();
  };
  CHECK(writes(tcp_of(4000), 1000) == 1);
  CHECK(writes(tcp_of(4000), 1000, 900) == 5);
  PacketSpec spec = tcp_of(4000);
  spec.flags = 0x90;
  CHECK(writes(spec, 1000) == 4);
  spec = tcp_of(4000);
  spec.ip_options = Bytes(4, 1);
  CHECK(writes(spec, 1000) == 4);
  spec = tcp_of(700);
  spec.udp = true;
  CHECK(writes(spec, 10) == 70);
  CHECK(writes(spec, 700) == 1);
}

TEST(port_super_forged, "port: a vnet header that is not its packet's stays here") {
  const Super good = build_super(tcp_of(4000), 1000);
  const auto refused = [&](auto change) {
    Super bad = good;
    change(bad.header);
    Port port(PortItems::supers);
    Batched batch;
    batch.add(bad);
    port.write(batch);
    return port.device.writes.empty() && port.dropped(PortDrop::bad_header) == 1;
  };
  CHECK(refused([](VnetHeader& h) { h.gso_type = VnetHeader::kGsoTcp6; }));
  CHECK(refused([](VnetHeader& h) { h.gso_type = VnetHeader::kGsoUdp; }));
  CHECK(refused([](VnetHeader& h) { h.gso_type = 3; }));
  CHECK(refused([](VnetHeader& h) { h.gso_size = 0; }));
  CHECK(refused([](VnetHeader& h) { h.gso_size = 7; }));
  CHECK(refused([](VnetHeader& h) { h.checksum_start += 2; }));
  CHECK(refused([](VnetHeader& h) { h.checksum_offset = 0; }));
  CHECK(refused([](VnetHeader& h) { h = {VnetHeader::kNeedsChecksum, 0, 0, 0, 0xffff, 0xffff}; }));

  // Nobody needs the hint, and nobody believes it.
  Super odd = good;
  odd.header.header_length = 0xffff;
  odd.header.flags |= 0xf0;
  Port port(PortItems::supers);
  Batched batch;
  batch.add(odd);
  // A sum that the kernel would believe: it is made anew.
  odd.packet[20 + 16] ^= 1;
  batch.add(odd);
  batch.add(View{odd.packet}.first(9));
  port.write(batch);
  CHECK(port.device.writes.size() == 5 && port.device.writes[0].header.header_length == 40);
  CHECK(port.dropped(PortDrop::malformed_inner) == 1);
}

TEST(port_order, "port: single packets and super-packets of a flow stay in order") {
  PacketSpec spec = tcp_of(1000);
  std::vector<Bytes> packets{build(spec)};
  Batched batch;
  batch.add(Super{{}, packets[0]});
  spec.sequence += 1000;
  spec.payload = random_bytes(3000);
  batch.add(build_super(spec, 1000));
  for (Bytes& p : split_plainly(spec, 1000)) packets.push_back(std::move(p));
  Port port(PortItems::supers);
  port.write(batch);
  CHECK(port.device.packets() == packets);
}

TEST(port_checksum, "port: a checksum that was left to the device is completed") {
  PacketSpec spec = tcp_of(500);
  Super super = build_super(spec, 1000);
  super.header.gso_type = VnetHeader::kGsoNone;
  Batched batch;
  batch.add(super);
  Port port(PortItems::supers);
  port.write(batch);
  CHECK(port.device.writes.size() == 1 && port.device.writes[0].packet == build(spec));
}

TEST(port_frames, "port: frames pass as they are, within limits") {
  Port port(PortItems::frames);
  Batched batch;
  for (const size_t size : {size_t{13}, size_t{14}, kMtu + 22, kMtu + 23}) batch.add(random_bytes(size));
  port.write(batch);
  CHECK(port.device.writes.size() == 2 && port.device.writes[1].packet.size() == kMtu + 22);
  CHECK(port.dropped(PortDrop::malformed_inner) == 1 && port.dropped(PortDrop::too_big) == 1);
}

TEST(port_read, "port: what the device has comes in batches that end when they are full") {
  Pair pair;
  PortCounters counters;
  const Tun tun(pair.fds[0]);
  PortReader reader(PortItems::packets, kMtu, tun, counters);
  auto memory = std::make_unique<BatchMemory>();
  Batch batch;
  const Bytes small = build(tcp_of(100)), large = build(tcp_of(kMtu - 39)), junk = random_bytes(50);
  for (const Bytes* p : {&small, &large, &junk, &small}) CHECK(send(pair.fds[1], p->data(), p->size(), 0) > 0);
  CHECK(reader.fill(batch, memory->all[0]) == PortReader::Result::empty);
  CHECK(batch.items == 2 && batch.bytes == 2 * small.size() && memory->all[0].ends[0] == small.size());
  CHECK(memcmp(&memory->all[0].data[small.size()], small.data(), small.size()) == 0);
  CHECK(counters.drops[static_cast<size_t>(PortDrop::too_big)].get() == 1);
  CHECK(counters.drops[static_cast<size_t>(PortDrop::malformed_packet)].get() == 1);
  batch.items = kBatchItems - 1;
  for (int i = 0; i < 2; i++) CHECK(send(pair.fds[1], small.data(), small.size(), 0) > 0);
  CHECK(reader.fill(batch, memory->all[0]) == PortReader::Result::full && batch.items == kBatchItems);
  close(pair.fds[1]);
  pair.fds[1] = -1;
}

TEST(port_batches, "port: batches are few, and given back once") {
  BatchQueue queue;
  for (unsigned i = 0; i < kPortBatches; i++) {
    const int index = queue.take_free();
    CHECK(index >= 0);
    queue.put({static_cast<unsigned>(index), 1, 1});
  }
  CHECK(queue.take_free() == -1);
  CHECK(!queue.give_back(0));
  const auto first = queue.take();
  CHECK(first && first->index == 0);
  CHECK(queue.give_back(0) && !queue.give_back(0) && !queue.give_back(99));
  CHECK(queue.take_free() == 0);
}

TEST(port_backpressure, "port: a carrier that gives nothing back stops the reading, and no item is lost or overtaken") {
  Pair pair;
  std::mutex mutex;
  std::condition_variable changed;
  std::string error;
  bool ready = false;
  auto port = PacketPort::make({pair.fds[0], kMtu, PortItems::packets,
                                [&] {
                                  const std::lock_guard lock(mutex);
                                  ready = true;
                                  changed.notify_all();
                                }},
                               error);
  CHECK(port != nullptr);
  if (!port) return;
  pair.fds[0] = -1;
  port->start();
  std::vector<Batch> held;
  std::vector<uint32_t> seen;
  uint32_t sent = 0;
  const auto send_one = [&] {
    PacketSpec spec = tcp_of(10);
    spec.sequence = sent;
    const Bytes packet = build(spec);
    if (send(pair.fds[1], packet.data(), packet.size(), 0) < 0) return false;
    sent++;
    return true;
  };
  // Takes what comes until so many packets were seen.
  const auto take = [&](size_t count) {
    while (seen.size() < count) {
      std::unique_lock lock(mutex);
      if (!changed.wait_for(lock, std::chrono::seconds(10), [&] { return ready; })) return false;
      ready = false;
      lock.unlock();
      while (const auto batch = port->take()) {
        const BatchMemory::One& memory = port->memory()->all[batch->index];
        for (size_t i = 0, from = 0; i < batch->items; from = memory.ends[i++]) seen.push_back(load32(&memory.data[from + 24]));
        held.push_back(*batch);
      }
    }
    return seen.size() == count;
  };
  const auto give_back = [&] {
    for (const Batch& batch : std::exchange(held, {})) port->give_back(batch.index);
  };
  for (unsigned i = 1; i <= kPortBatches; i++) CHECK(send_one() && take(i) && held.size() == i);
  // Now the queue of the device fills, and then who sends waits.
  while (send_one()) {
  }
  CHECK(!port->take() && sent > kPortBatches);
  give_back();
  CHECK(take(sent));
  for (uint32_t i = 0; i < seen.size(); i++) CHECK(seen[i] == i);

  give_back();
  port->pause();
  CHECK(send_one() && !port->take());
  port->resume();
  CHECK(take(sent));
  port->stop();
  CHECK(!port->take() && send(pair.fds[1], "x", 1, 0) < 0);
}

TEST(port_filter, "packet port: rules hold for packets, super-packets and frames; what answers them comes in") {
  const FilterRules closed{{{true, true, {}, {{FilterService::Protocol::tcp, 22, 22}}}}, false};
  const auto memory = std::make_shared<Filter::Memory>(static_cast<uint32_t>(coarse_ms() / 1000));
  const Filter filter(closed, nullptr, memory, 1);
  const std::atomic<const Filter*> current{&filter};
  PacketSpec good = tcp_of(100), bad = tcp_of(100);
  good.to = 22;
  bad.to = 23;
  const auto written = [&](PortItems items, const auto& add) {
    PortDevice device;
    PortCounters counters;
    PortWriter writer(items, kMtu, kAll, device, counters, current);
    Batched batch;
    add(batch);
    writer.write(batch.data, batch.ends);
    CHECK(counters.rx.packets.get() + counters.drops[static_cast<size_t>(PortDrop::filtered)].get() >= batch.ends.size());
    const size_t came = items == PortItems::frames ? device.writes.size() : device.packets().size();
    return std::pair{came, counters.drops[static_cast<size_t>(PortDrop::filtered)].get()};
  };
  CHECK(written(PortItems::packets, [&](Batched& b) { b.add(build(good)), b.add(build(bad)); }) == std::pair(size_t{1}, uint64_t{1}));
  good.payload = bad.payload = random_bytes(5000);
  const auto supers = [&](Batched& b) { b.add(build_super(good, 1000)), b.add(build_super(bad, 1000)); };
  CHECK(written(PortItems::supers, supers) == std::pair(size_t{5}, uint64_t{1}));

  good.payload = bad.payload = random_bytes(20);
  const auto frame = [](View packet, Bytes tags, size_t padding) {
    Bytes out(12 + tags.size() + 2 + packet.size() + padding);
    uint8_t* type = std::copy(tags.begin(), tags.end(), out.data() + 12);
    store16(type, packet[0] >> 4 == 4 ? 0x0800 : 0x86dd);
    std::copy(packet.begin(), packet.end(), type + 2);
    return out;
  };
  for (const bool six : {false, true}) {
    good.six = bad.six = six;
    for (const Bytes& tags : {Bytes{}, Bytes{0x81, 0, 0, 5}, Bytes{0x88, 0xa8, 0, 5, 0x81, 0, 0, 6}}) {
      const auto frames = [&](Batched& b) { b.add(frame(build(good), tags, 6)), b.add(frame(build(bad), tags, 6)); };
      CHECK(written(PortItems::frames, frames) == std::pair(size_t{1}, uint64_t{1}));
    }
  }
  // Neighbours find each other; nobody else may send that.
  good.six = true;
  for (const auto& [type, hops, comes] : {std::tuple{135, 255, true}, {136, 255, true}, {136, 64, false}, {137, 255, false}, {128, 255, false}}) {
    Bytes neighbour = build(good);
    neighbour[6] = 58;
    neighbour[7] = static_cast<uint8_t>(hops);
    neighbour[40] = static_cast<uint8_t>(type);
    const auto came = written(PortItems::frames, [&](Batched& b) { b.add(frame(neighbour, {}, 0)); });
    CHECK(came.first == (comes ? 1u : 0u));
  }
  good.six = false;
  Bytes arp(42, 1);
  store16(&arp[12], 0x0806);
  Bytes lying = frame(build(good), {}, 0);
  lying.pop_back();
  CHECK(written(PortItems::frames, [&](Batched& b) { b.add(arp), b.add(lying); }) == std::pair(size_t{1}, uint64_t{1}));

  // Read from the device: its answer is no stranger.
  Pair device;
  PortCounters counters;
  const Tun tun(device.fds[1]);
  PortReader reader(PortItems::packets, kMtu, tun, counters, current);
  PacketSpec asked = tcp_of(0);
  asked.flags = 0x02;
  const Bytes question = build(asked);
  CHECK(send(device.fds[0], question.data(), question.size(), 0) == static_cast<ssize_t>(question.size()));
  const auto batches = std::make_unique<BatchMemory>();
  Batch batch;
  CHECK(reader.fill(batch, batches->all[0]) == PortReader::Result::empty && batch.items == 1);
  Bytes answer = question;
  std::swap_ranges(answer.begin() + 12, answer.begin() + 16, answer.begin() + 16);
  std::swap_ranges(answer.begin() + 20, answer.begin() + 22, answer.begin() + 22);
  answer[33] = 0x12;
  CHECK(written(PortItems::packets, [&](Batched& b) { b.add(answer); }).first == 1);
}
