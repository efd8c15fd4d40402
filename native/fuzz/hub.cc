// What clients of a gateway send and how they come, go, pause: a device gets whole packets of its own client only, to where clients
// may go; a client gets what its own device had.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "ip_packet.h"
#include "items.h"
#include "port_hub.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

constexpr size_t kMtu = 1400;
constexpr uint32_t kClients = 3;  // from 0, which nobody is at first
constexpr unsigned kSteps = 40;

Prefix prefix(const std::string& text) { return *Prefix::parse(text); }

// As the tests' packets have them: they come from 10.9.0.HOST or fd00::HOST, and go to 10.9.0.9 or fd00::9.
std::vector<Prefix> sources_of(uint32_t id) { return {prefix("10.9.0." + std::to_string(id)), prefix("fd00::" + std::to_string(id))}; }
const Destinations& destinations() {
  static const Destinations out({prefix("0.0.0.0/0"), prefix("fd00::/16")}, {prefix("10.9.0.8/30"), prefix("fd00::8/126")});
  return out;
}

// One for all inputs, for its thread and memory take longer than an input; what is late of an input has ids of that one's clients.
PortHub& the_hub() {
  static const std::unique_ptr<PortHub> hub = [] {
    std::string error;
    auto made = PortHub::make(destinations(), [] {}, error);
    EXPECT(made);
    made->start();
    return made;
  }();
  return *hub;
}

class Gateway {
 public:
  Gateway() {
    static uint32_t inputs = 0;
    first_ = inputs++ << 2;
  }
  ~Gateway() {
    for (uint32_t id = 0; id <= kClients; id++) go(id, false);
  }

  void come(uint32_t id, PortItems items) {
    int fds[2];
    if (far_.contains(id) || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) return;
    std::string error;
    // The third has its address translated.
    if (hub_.add(first_ + id, {fds[0], kMtu, items, sources_of(id), id == kClients}, error)) far_[id] = fds[1];
    else close(fds[0]), close(fds[1]);
  }
  void go(uint32_t id, bool keep) {
    const int fd = hub_.remove(first_ + id, keep);
    if (fd >= 0) close(fd);
    if (!far_.contains(id)) return;
    close(far_[id]);
    far_.erase(id);
  }
  void write(uint32_t id, PortItems items, Input& in) {
    test::Batched batch;
    for (uint8_t n = in.u8() % 8; n > 0 && batch.data.size() < 200'000; n--) add_item(in, batch, in.u8() % (kClients + 1));
    batch.data.shrink_to_fit();
    hub_.write(first_ + id, batch.data, batch.ends, items);
    check_devices();
  }
  // What comes from the Internet for the client. With an address of its own it may get a changed packet.
  void arrive(uint32_t id, View packet) {
    if (!far_.contains(id) || packet.empty()) return;
    sent_[id].emplace(packet.begin(), packet.end());
    [[maybe_unused]] const ssize_t n = ::send(far_[id], packet.data(), packet.size(), MSG_NOSIGNAL);
  }
  void mode(uint32_t id, uint8_t how) {
    constexpr PortHub::Mode modes[] = {PortHub::Mode::read, PortHub::Mode::pause, PortHub::Mode::discard};
    hub_.set_mode(first_ + id, modes[how % 3]);
    hub_.choose(first_ + id, how & 4 ? PortItems::supers : PortItems::packets);
  }
  void take() {
    while (const auto filled = hub_.take()) {
      const uint32_t id = filled->client - first_;
      if (id < kClients) check_batch(filled->batch, sent_[id]);
      hub_.give_back(filled->batch.index);
    }
  }

 private:
  void check_batch(const Batch& batch, const std::set<Bytes>& sent) {
    const BatchMemory::One& memory = hub_.memory()->all[batch.index];
    const size_t skip = batch.kind == PortItems::supers ? sizeof(VnetHeader) : 0;
    uint32_t from = 0;
    for (size_t i = 0; i < batch.items; i++) {
      const uint32_t end = memory.ends[i];
      EXPECT(end > from + skip && end <= batch.bytes);
      EXPECT(sent.contains(Bytes(memory.data.data() + from + skip, memory.data.data() + end)));
      from = end;
    }
  }
  void check_devices() {
    static Bytes buffer(70000);
    for (const auto& [id, fd] : far_) {
      const std::vector<Prefix> sources = sources_of(id);
      for (ssize_t got; (got = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
        IpHeader ip;
        EXPECT(parse_ip({buffer.data(), static_cast<size_t>(got)}, ip));
        EXPECT(any_contains(sources, ip.source));
        EXPECT(destinations().permits(ip.destination));
      }
    }
  }

  PortHub& hub_ = the_hub();
  uint32_t first_;  // id of the hub's for client 0
  std::map<uint32_t, int> far_;
  std::map<uint32_t, std::set<Bytes>> sent_;  // by the Internet
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  Gateway gateway;
  gateway.come(1, PortItems::packets);
  for (unsigned step = 0; step < kSteps && !in.empty(); step++) {
    const uint8_t what = in.u8();
    const uint32_t id = what >> 4 & 3;
    const PortItems items = what & 64 ? PortItems::supers : PortItems::packets;
    switch (what % 8) {
      case 0: gateway.come(id, items); break;
      case 1: gateway.go(id, what & 64); break;
      case 2: gateway.mode(id, in.u8()); break;
      case 3: gateway.arrive(id, in.piece()); break;
      case 4: {
        const Bytes item = almost_right(in, static_cast<uint8_t>(id));
        gateway.arrive(id, View(item).subspan(sizeof(VnetHeader)));
        break;
      }
      case 5: gateway.take(); break;
      default: gateway.write(id, items, in);
    }
  }
  gateway.take();
  return 0;
}
