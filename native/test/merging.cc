#include "merging.h"

#include <algorithm>
#include <deque>
#include <map>

#include "segment.h"
#include "tcp_udp_packets.h"

namespace vpnd::test {

namespace {

Bytes slice(View packet, size_t at, size_t size) { return {packet.begin() + static_cast<ptrdiff_t>(at), packet.begin() + static_cast<ptrdiff_t>(at + size)}; }

bool is_four(View packet) { return packet[0] >> 4 == 4; }

Bytes address_key(View packet) { return is_four(packet) ? slice(packet, 12, 8) : slice(packet, 8, 32); }

// Empty: no flow can be told.
Bytes flow_key(View packet) {
  const Layout where = layout(packet);
  if (where.protocol == 0 || where.transport != (is_four(packet) ? 20u : 40u)) return {};
  Bytes key = address_key(packet);
  key.push_back(where.protocol);
  const Bytes ports = slice(packet, where.transport, 4);
  key.insert(key.end(), ports.begin(), ports.end());
  return key;
}

void one_zero(uint8_t* checksum) {
  if (load16(checksum) == 0xffff) store16(checksum, 0);
}

// Without what may differ: the id under DF, and which of the two zeros a checksum is.
Bytes comparable(Bytes packet) {
  if (is_four(packet)) one_zero(&packet[10]);
  if (is_four(packet) && (packet[6] & 0x40) != 0) {
    store16(&packet[4], 0);
    store16(&packet[10], 0);
  }
  const Layout where = layout(packet);
  if (where.protocol == 6) one_zero(&packet[where.transport + 16]);
  return packet;
}

using Queues = std::map<Bytes, std::deque<size_t>>;

size_t front(Queues& queues, const Bytes& key) {
  const auto at = queues.find(key);
  return at == queues.end() || at->second.empty() ? SIZE_MAX : at->second.front();
}

}  // namespace

void Recorder::write(const iovec* parts, int count, size_t packets, size_t bytes, void* owner) noexcept {
  Bytes all;
  for (int i = 0; i < count; i++) {
    const uint8_t* p = static_cast<const uint8_t*>(parts[i].iov_base);
    all.insert(all.end(), p, p + parts[i].iov_len);
  }
  sizes_right = sizes_right && bytes > 0 && all.size() == sizeof(VnetHeader) + bytes;
  if (!sizes_right) return;
  Written written{{}, slice(all, sizeof(VnetHeader), bytes), packets, owner, count};
  memcpy(&written.header, all.data(), sizeof(VnetHeader));
  writes.push_back(std::move(written));
}

std::vector<Written> merge(const std::vector<Bytes>& packets, Coalescer::Options options) {
  Recorder recorder;
  Coalescer coalescer(options, recorder);
  for (const Bytes& p : packets) coalescer.add(p, nullptr);
  coalescer.flush();
  if (!recorder.sizes_right) return {};
  return recorder.writes;
}

std::vector<Bytes> unmerge(const std::vector<Written>& writes) {
  std::vector<Bytes> out;
  for (const Written& w : writes) {
    Bytes packet = w.packet;
    packet.push_back(0);
    Segmenter segmenter;
    if (!segmenter.begin(w.header, std::span(packet).first(w.packet.size()), 65535) || segmenter.count() != w.packets) return {};
    for (std::span<uint8_t> next = segmenter.next(); !next.empty(); next = segmenter.next()) out.emplace_back(next.begin(), next.end());
  }
  return out;
}

bool same_by_flow(const std::vector<Bytes>& in, const std::vector<Bytes>& out) {
  if (in.size() != out.size()) return false;
  // Places in `in` that have not come out yet: of each flow, of all between two addresses, of those without a flow.
  Queues flows, pairs, odd;
  std::vector<bool> done(in.size());
  for (size_t i = 0; i < in.size(); i++) {
    const Bytes key = flow_key(in[i]);
    pairs[address_key(in[i])].push_back(i);
    if (key.empty()) odd[address_key(in[i])].push_back(i);
    else flows[key].push_back(i);
  }
  for (const Bytes& packet : out) {
    const Bytes key = flow_key(packet), pair = address_key(packet);
    const size_t place = key.empty() ? front(odd, pair) : front(flows, key);
    if (place == SIZE_MAX || comparable(in[place]) != comparable(packet)) return false;
    if (key.empty() ? front(pairs, pair) != place : front(odd, pair) < place) return false;
    (key.empty() ? odd[pair] : flows[key]).pop_front();
    done[place] = true;
    std::deque<size_t>& left = pairs[pair];
    while (!left.empty() && done[left.front()]) left.pop_front();
  }
  return true;
}

}  // namespace vpnd::test
