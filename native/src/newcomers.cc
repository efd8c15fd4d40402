#include "newcomers.h"

#include <algorithm>

namespace vpnd {

namespace {
Address key_of(const Address& from) { return from.family == 6 ? masked(from, 64) : from; }
}  // namespace

bool Newcomers::welcome(const Address& from, uint64_t now_ms) const {
  const uint64_t left = all_.level(now_ms);
  if (left == 0) return false;
  const auto it = sources_.find(key_of(from));
  const uint64_t share = it == sources_.end() ? kSourceBurst : it->second.share.level(now_ms);
  return share == kSourceBurst || (share > 0 && left > kBurst / 2);
}

Newcomers::Source& Newcomers::source(const Address& from, uint64_t now_ms) {
  const Address key = key_of(from);
  if (sources_.size() >= kMaxSources && !sources_.contains(key)) {
    const size_t gone = std::erase_if(sources_, [&](const auto& entry) {
      return entry.second.open.empty() && entry.second.share.level(now_ms) == kSourceBurst;
    });
    if (gone == 0) std::erase_if(sources_, [](const auto& entry) { return entry.second.open.empty(); });
  }
  return sources_[key];
}

uint32_t Newcomers::begin(const Address& from, uint32_t id, uint64_t now_ms) {
  all_.take(now_ms);
  Source& mine = source(from, now_ms);
  mine.share.take(now_ms);
  uint32_t leaves = 0;
  if (mine.open.size() >= kMaxOpenOfSource) leaves = mine.open.front();
  else if (open_ >= kMaxOpen) leaves = oldest_of_greediest();
  mine.open.push_back(id);
  open_++;
  return leaves;
}

uint32_t Newcomers::oldest_of_greediest() const {
  const auto it = std::max_element(sources_.begin(), sources_.end(),
                                   [](const auto& a, const auto& b) {
                                     const auto& x = a.second.open;
                                     const auto& y = b.second.open;
                                     return x.size() != y.size() ? x.size() < y.size() : !x.empty() && x.front() > y.front();
                                   });
  return it == sources_.end() || it->second.open.empty() ? 0 : it->second.open.front();
}

void Newcomers::succeed(const Address& from) {
  const auto it = sources_.find(key_of(from));
  if (it != sources_.end()) it->second.share.give_back();
}

void Newcomers::end(const Address& from, uint32_t id) {
  const auto it = sources_.find(key_of(from));
  if (it == sources_.end()) return;
  open_ -= std::erase(it->second.open, id);
}

}  // namespace vpnd
