// Scenes about filter rules: in force, and changed while packets pass.
#include "scene.h"

namespace vpnd::driver {

namespace {

// All commands before it were carried out.
bool caught_up(Pair& p, Node& node) {
  p.wait([&] { return node.engine().responds(); });
  return p.wait([&] { return node.engine().responds(); });
}

void filters(unsigned threads) {
  Pair p({.seed = 1, .threads = threads}, {.seed = 2, .threads = threads});
  p.b.engine().set_filter({{}, false});
  if (!EXPECT(p.up())) return;
  p.a.send_inside(make_packet(kIpA, kIpB, 200, 1));
  EXPECT(p.wait([&] { return p.b.dropped("filtered") == 1; }));
  EXPECT(!p.b.take_inside());
  // What B sends, A may answer.
  EXPECT(p.passes(p.b, p.a, 20) && p.passes(p.a, p.b, 21));
  // A rule for a peer stands for all its prefixes, also for those that it gets later.
  p.b.engine().set_filter({{{false, false, {*Prefix::parse(kIpA)}, {}}}, true});
  p.b.engine().set_peer(Node::kPeer, {*Prefix::parse(kIpA), *Prefix::parse("10.7.0.0/16")});
  if (!EXPECT(caught_up(p, p.b))) return;
  const uint64_t before = p.b.dropped("filtered");
  p.a.send_inside(make_packet("10.7.1.1", kIpB, 200, 30));
  EXPECT(p.wait([&] { return p.b.dropped("filtered") == before + 1; }));
  p.b.engine().set_filter({});
  EXPECT(caught_up(p, p.b) && p.both_ways(40));
}

void changes_rules_under_traffic(unsigned threads) {
  Pair p({.seed = 1, .threads = threads}, {.seed = 2, .threads = threads});
  if (!EXPECT(p.up())) return;
  const FilterRules sets[] = {{{}, false},
                              {},
                              {{{true, false, {*Prefix::parse(kIpA), *Prefix::parse(kIpB)}, {{FilterService::Protocol::udp, 0, 0}}}}, false},
                              {{{false, true, {}, {{FilterService::Protocol::tcp, 22, 22}}}}, true}};
  for (uint32_t round = 0; round < 60; round++) {
    for (Node* node : {&p.a, &p.b}) node->engine().set_filter(sets[(round + (node == &p.a)) % std::size(sets)]);
    if (round % 7 == 0) p.b.engine().set_peer(Node::kPeer, {*Prefix::parse(kIpA), {*Prefix::parse("10.8." + std::to_string(round) + ".0/24")}});
    for (uint32_t i = 0; i < 20; i++) {
      p.a.send_inside(make_packet(kIpA, kIpB, 300, i));
      p.b.send_inside(make_packet(kIpB, kIpA, 300, i));
      p.step();
    }
    while (p.a.take_inside() || p.b.take_inside()) {
    }
  }
  for (Node* node : {&p.a, &p.b}) node->engine().set_filter({});
  EXPECT(caught_up(p, p.a) && caught_up(p, p.b) && p.both_ways(1000));
}

}  // namespace

std::vector<Scene> filter_scenes() {
  return {
      {"filters with one thread", [] { filters(1); }},
      {"filters with two threads", [] { filters(2); }},
      {"changes rules under traffic with two threads", [] { changes_rules_under_traffic(2); }},
      {"changes rules under traffic with three queues", [] { changes_rules_under_traffic(3); }},
  };
}

}  // namespace vpnd::driver
