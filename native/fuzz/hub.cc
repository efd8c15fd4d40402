// What clients of a gateway send and how they come, go, pause: a device gets whole packets of its own client only, to where clients
// may go; a client gets what its own device had, or what a device of all had for its addresses.
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

const std::shared_ptr<HubDirectory>& directory() {
  static const auto out = std::make_shared<HubDirectory>();
  return out;
}

// Each for all inputs, for its thread and memory take longer than an input; what is late of an input has ids of that one's clients.
struct Running {
  // directory: null if each client has its device.
  explicit Running(const std::shared_ptr<HubDirectory>& directory) {
    std::string error;
    hub = PortHub::make(destinations(), [] {}, error);
    EXPECT(hub);
    int fds[2] = {-1, -1};
    if (directory) EXPECT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0 && hub->share(fds[0], error, directory));
    far = fds[1];
    hub->start();
  }
  std::unique_ptr<PortHub> hub;
  int far;  // the kernel's end of the shared device
};

const Running& running(bool shared) {
  static const Running own(nullptr), all(directory());
  return shared ? all : own;
}
// With another queue of the shared device, and no clients.
const Running& other_queue() {
  static const Running out(directory());
  return out;
}

class Gateway {
 public:
  explicit Gateway(bool shared) : shared_(shared), hub_(*running(shared).hub) {
    static uint32_t inputs = 0;
    first_ = inputs++ << 2;
  }
  ~Gateway() {
    for (uint32_t id = 0; id <= kClients; id++) go(id, false);
  }

  void come(uint32_t id, PortItems items) {
    std::string error;
    if (shared_) {
      hub_.add(first_ + id, {-1, kMtu, items, sources_of(id), id == kClients}, error);
      return;
    }
    int fds[2];
    if (far_.contains(id) || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) return;
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
    if (shared_) check_device(id, running(true).far);
    for (const auto& [other, fd] : far_) check_device(other, fd);
  }
  // What comes from the Internet for the client. With an address of its own it may get a changed packet.
  void arrive(uint32_t id, View packet, bool elsewhere) {
    const int fd = shared_ && elsewhere ? other_queue().far : far_of(id);
    if (fd < 0 || packet.empty()) return;
    sent_[id].emplace(packet.begin(), packet.end());
    [[maybe_unused]] const ssize_t n = ::send(fd, packet.data(), packet.size(), MSG_NOSIGNAL);
  }
  void mode(uint32_t id, uint8_t how) {
    constexpr PortHub::Mode modes[] = {PortHub::Mode::read, PortHub::Mode::pause, PortHub::Mode::discard};
    hub_.set_mode(first_ + id, modes[how % 3]);
    hub_.choose(first_ + id, how & 4 ? PortItems::supers : PortItems::packets);
  }
  void take() {
    while (const auto filled = hub_.take()) {
      const uint32_t id = filled->client - first_;
      if (id < kClients) check_batch(filled->batch, id);
      hub_.give_back(filled->batch.index);
    }
  }

 private:
  int far_of(uint32_t id) const {
    if (shared_) return running(true).far;
    const auto found = far_.find(id);
    return found == far_.end() ? -1 : found->second;
  }
  void check_batch(const Batch& batch, uint32_t id) {
    const BatchMemory::One& memory = hub_.memory()->all[batch.index];
    const size_t skip = batch.kind == PortItems::supers ? sizeof(VnetHeader) : 0;
    uint32_t from = 0;
    for (size_t i = 0; i < batch.items; i++) {
      const uint32_t end = memory.ends[i];
      EXPECT(end > from + skip && end <= batch.bytes);
      const View packet{memory.data.data() + from + skip, end - from - skip};
      IpHeader ip;
      // What an input leaves in the shared device is another's.
      if (shared_) EXPECT(parse_ip(packet, ip) && any_contains(sources_of(id), ip.destination));
      else EXPECT(sent_[id].contains(Bytes(packet.begin(), packet.end())));
      from = end;
    }
  }
  void check_device(uint32_t id, int fd) const {
    static Bytes buffer(70000);
    const std::vector<Prefix> sources = sources_of(id);
    for (ssize_t got; (got = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
      IpHeader ip;
      EXPECT(parse_ip({buffer.data(), static_cast<size_t>(got)}, ip));
      EXPECT(any_contains(sources, ip.source));
      EXPECT(destinations().permits(ip.destination));
    }
  }

  const bool shared_;
  PortHub& hub_;
  uint32_t first_;  // id of the hub's for client 0
  std::map<uint32_t, int> far_;
  std::map<uint32_t, std::set<Bytes>> sent_;  // by the Internet
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  Gateway gateway(in.u8() & 1);
  gateway.come(1, PortItems::packets);
  for (unsigned step = 0; step < kSteps && !in.empty(); step++) {
    const uint8_t what = in.u8();
    const uint32_t id = what >> 4 & 3;
    const PortItems items = what & 64 ? PortItems::supers : PortItems::packets;
    switch (what % 8) {
      case 0: gateway.come(id, items); break;
      case 1: gateway.go(id, what & 64); break;
      case 2: gateway.mode(id, in.u8()); break;
      case 3: gateway.arrive(id, in.piece(), what & 128); break;
      case 4: {
        const Bytes item = almost_right(in, static_cast<uint8_t>(id));
        gateway.arrive(id, View(item).subspan(sizeof(VnetHeader)), what & 128);
        break;
      }
      case 5: gateway.take(); break;
      default: gateway.write(id, items, in);
    }
  }
  gateway.take();
  return 0;
}
