// Peers, the part that puts filter rules in force.
#include "filter.h"
#include "peers.h"

namespace vpnd {

void Peers::set_filter(FilterRules rules) {
  filter_rules_ = std::move(rules);
  filter_generation_++;
  publish_filter(*dataplane_.routes.load());
}

// Before the prefixes that it is made for: with either, no packet is judged by rules for another peer.
void Peers::publish_filter(const PrefixTable& owners) {
  const Filter* old = dataplane_.filter.load();
  const Filter* next = nullptr;
  if (!filter_rules_.pass_all()) {
    auto memory = old ? old->memory() : std::make_shared<Filter::Memory>(static_cast<uint32_t>(coarse_ms() / 1000));
    next = new Filter(filter_rules_, &owners, std::move(memory), filter_generation_);
  } else if (!old) {
    return;
  }
  dataplane_.filter.store(next, std::memory_order_release);
  if (old) dataplane_.reclaimer.retire([old] { delete old; });
}

}  // namespace vpnd
