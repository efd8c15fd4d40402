// What the self-test's scenes share: two nodes with a wire between them, and what must hold.
#pragma once
#include "node.h"
#include "packets.h"
#include "wire.h"

namespace vpnd::driver {

inline const char* const kIpA = "10.9.0.1";
inline const char* const kIpB = "10.9.0.2";
inline const char* const kIpNobody = "10.9.0.99";

struct Scene {
  const char* name;
  std::function<void()> run;
};

std::vector<Scene> packet_scenes();
std::vector<Scene> key_scenes();
std::vector<Scene> session_scenes();
std::vector<Scene> filter_scenes();

// What does not hold is printed and counted. Returns `ok`.
bool expect(bool ok, const char* file, int line, const char* what);
#define EXPECT(condition) expect(condition, __FILE__, __LINE__, #condition)

// A dials.
struct Pair {
  explicit Pair(Node::Options options_a = {.seed = 1}, Node::Options options_b = {.seed = 2})
      : a(options_a), b(options_b), wire(a.endpoint(), b.endpoint()) {
    a.engine().set_peer(Node::kPeer, {*Prefix::parse(kIpB)});
    b.engine().set_peer(Node::kPeer, {*Prefix::parse(kIpA)});
  }
  void step() {
    wire.pump();
    a.pump();
    b.pump();
  }
  bool wait(const std::function<bool()>& done, unsigned ms = 10000) {
    return wait_for([this] { step(); }, done, ms);
  }
  bool up(uint32_t tag = 1) {
    const size_t before_a = a.count(Event::Type::up), before_b = b.count(Event::Type::up);
    a.engine().connect(tag, wire.front());
    return wait([&] { return a.count(Event::Type::up) > before_a && b.count(Event::Type::up) > before_b; });
  }
  // Whether a packet gets through, in whichever direction.
  bool passes(Node& from, Node& to, uint32_t number) {
    const bool forth = &from == &a;
    from.send_inside(make_packet(forth ? kIpA : kIpB, forth ? kIpB : kIpA, 200, number));
    return arrives(to, number);
  }
  bool arrives(Node& to, uint32_t number) {
    return wait([&] {
      while (const auto packet = to.take_inside()) {
        if (packet_number(*packet) == number) return true;
      }
      return false;
    });
  }
  bool both_ways(uint32_t number) { return passes(a, b, number) && passes(b, a, number + 1); }

  Node a;
  Node b;
  Wire wire;
};

}  // namespace vpnd::driver
