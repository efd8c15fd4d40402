// Packets of peers and of this machine, and rules: what a filter reads of them, and what holds of any rules.
#include "filter.h"

#include <algorithm>

#include "input.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

FilterService read_service(Input& in) {
  const uint8_t protocol = in.u8();
  const uint16_t first = in.u16(), last = in.u16();
  return {static_cast<FilterService::Protocol>(protocol % 3), std::min(first, last), std::max(first, last)};
}

FilterRules read_rules(Input& in) {
  FilterRules out;
  const uint8_t head = in.u8();
  out.allow_others = head & 1;
  for (unsigned n = head >> 1 & 7; n > 0; n--) {
    const uint8_t kind = in.u8();
    FilterRule rule{(kind & 1) != 0, (kind & 2) != 0, {}, {}};
    for (unsigned i = kind >> 2 & 3; i > 0; i--) {
      const uint8_t p[4] = {10, 9, 0, in.u8()};
      const auto length = static_cast<uint8_t>(in.u8() % 33);
      rule.sources.push_back({masked(Address::v4(p), length), length});
    }
    for (unsigned i = kind >> 4 & 3; i > 0; i--) rule.services.push_back(read_service(in));
    out.rules.push_back(std::move(rule));
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Made once: it is large. Each input has a generation of its own, and TCP, which outlives those, is told apart by time.
  static const auto memory = std::make_shared<Filter::Memory>(1000);
  static const auto scratch = std::make_shared<Filter::Memory>(1000);
  // Nothing is ever let in or sent with this one.
  static const auto empty = std::make_shared<Filter::Memory>(1000);
  static uint16_t generation = 0;
  static uint64_t now_ms = 2'000'000;
  generation++;
  now_ms += 10'000'000;
  Input in(data, size);
  const FilterRules rules = read_rules(in);
  const Filter filter(rules, nullptr, memory, generation);
  const Filter open({{}, true}, nullptr, scratch, generation), closed({{}, false}, nullptr, empty, generation);
  while (!in.empty()) {
    const bool ours = in.u8() & 1;
    const Bytes packet = copy(in.piece());
    IpHeader ip;
    Transport t;
    IpHeader quoted;
    if (read_quoted(packet, quoted, t)) EXPECT(quoted.version == 4 || quoted.version == 6);
    if (!parse_ip(packet, ip)) continue;
    t = {};
    const bool whole = read_transport(packet, t);
    EXPECT(!whole || t.at <= packet.size());
    EXPECT(open.passes(packet, ip, nullptr, now_ms) == whole);
    EXPECT(!closed.passes(packet, ip, nullptr, now_ms));
    if (ours) {
      filter.sent(packet, ip, nullptr, now_ms);
      continue;
    }
    const bool passes = filter.passes(packet, ip, nullptr, now_ms);
    EXPECT(!passes || whole);
    // Rules that let everything in, and nothing else, do so.
    if (whole && rules.rules.empty() && rules.allow_others) EXPECT(passes);
  }
  return 0;
}
