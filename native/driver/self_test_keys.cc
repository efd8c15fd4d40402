// Scenes about pre-shared keys: wrong ones, and those that change.
#include "scene.h"

namespace vpnd::driver {

namespace {

void refuses_another_psk() {
  Pair p({.seed = 1, .psks = {1}}, {.seed = 2, .psks = {2}});
  p.a.engine().connect(1, p.wire.front());
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > 0 && p.b.count(Event::Type::wrong_psk) > 0; }));
  EXPECT(p.a.count(Event::Type::up) == 0 && p.b.count(Event::Type::up) == 0);
  EXPECT(p.a.count(Event::Type::hello) == 0 && p.b.count(Event::Type::hello) == 0);
}

uint32_t last_epoch(const Node& node) {
  uint32_t epoch = 0;
  for (const Event& e : node.events()) {
    if (e.type == Event::Type::up) epoch = e.epoch;
  }
  return epoch;
}

void changes_the_psk() {
  Pair p({.seed = 1, .psks = {2, 1}}, {.seed = 2, .psks = {1}});
  // The other end does not know the preferred PSK yet.
  p.a.engine().connect(1, p.wire.front());
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > 0; }));
  EXPECT(p.a.count(Event::Type::up) == 0);
  p.a.engine().connect(2, p.wire.front(), 1);
  if (!EXPECT(p.wait([&] { return p.a.count(Event::Type::up) == 1 && p.b.count(Event::Type::up) == 1; }))) return;
  EXPECT(last_epoch(p.a) == 1 && last_epoch(p.b) == 1 && p.both_ways(10));
  // Now it does; the living session is replaced, not interrupted.
  p.b.engine().set_identity(make_identity({.seed = 2, .psks = {2, 1}}));
  EXPECT(p.up(3) && last_epoch(p.a) == 2 && last_epoch(p.b) == 2 && p.both_ways(20));
  // The former PSK is dropped.
  p.b.engine().set_identity(make_identity({.seed = 2, .psks = {2}}));
  const size_t hints = p.a.count(Event::Type::wrong_psk);
  p.a.engine().connect(4, p.wire.front(), 1);
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > hints; }));
  // One that was never known fails at once.
  p.a.engine().connect(5, p.wire.front(), 9);
  EXPECT(p.wait([&] { return p.a.count(Event::Type::failed) > 0; }));
  EXPECT(p.both_ways(30));
}

// Identities of a Badger network tell nothing: the server finds out by trying.
void changes_the_badger_psk() {
  Pair p({.seed = 1, .psks = {1}, .badger = true}, {.seed = 2, .psks = {2, 1}, .badger = true});
  p.a.engine().connect(1, p.wire.front());
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > 0; }));
  EXPECT(p.up(2) && last_epoch(p.a) == 1 && last_epoch(p.b) == 1 && p.both_ways(10));
  // Once it worked, the preferred one comes first again.
  p.a.engine().set_identity(make_identity({.seed = 1, .psks = {2}, .badger = true}));
  EXPECT(p.up(3) && last_epoch(p.a) == 2 && last_epoch(p.b) == 2 && p.both_ways(20));
}

// Both in doubt, in opposite orders: they must not keep missing each other.
void finds_the_badger_psk_in_doubt() {
  Pair p({.seed = 1, .psks = {1, 2}, .badger = true}, {.seed = 2, .psks = {2, 1}, .badger = true});
  for (uint32_t tag = 1; tag <= 4 && p.a.count(Event::Type::up) == 0; tag++) {
    const size_t before = p.a.count(Event::Type::wrong_psk);
    p.a.engine().connect(tag, p.wire.front(), tag % 2 == 1 ? 1 : 2);
    p.wait([&] { return p.a.count(Event::Type::up) > 0 || p.a.count(Event::Type::wrong_psk) > before; });
  }
  EXPECT(p.a.count(Event::Type::up) == 1);
}

void refuses_another_badger_psk() {
  Pair p({.seed = 1, .psks = {1}, .badger = true}, {.seed = 2, .psks = {2}, .badger = true});
  p.a.engine().connect(1, p.wire.front());
  EXPECT(p.wait([&] { return p.a.count(Event::Type::wrong_psk) > 0 && p.b.count(Event::Type::wrong_psk) > 0; }));
  EXPECT(p.a.count(Event::Type::up) == 0 && p.b.count(Event::Type::up) == 0);
}

}  // namespace

std::vector<Scene> key_scenes() {
  return {
      {"refuses another PSK", refuses_another_psk},
      {"refuses another PSK of a Badger network", refuses_another_badger_psk},
      {"changes the PSK", changes_the_psk},
      {"changes the PSK of a Badger network", changes_the_badger_psk},
      {"finds the PSK of a Badger network in doubt", finds_the_badger_psk_in_doubt},
  };
}

}  // namespace vpnd::driver
