#include "port_reader.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "super_packet.h"

namespace vpnd {

PortReader::PortReader(PortItems items, size_t mtu, const Tun& tun, PortCounters& counters, const std::atomic<const Filter*>& filter)
    : chosen_(items), items_(items), mtu_(mtu), tun_(tun), counters_(counters), filter_(filter), buffer_(std::make_unique_for_overwrite<uint8_t[]>(kMaxItem + 1)) {}

PortReader::Result PortReader::fill(Batch& batch, BatchMemory::One& memory) noexcept {
  if (batch.items == 0) {
    // What is left of a super-packet stays split.
    if (held_.empty()) items_ = chosen_;
    batch.kind = items_;
  }
  if (!keep_splitting(batch, memory)) return Result::full;
  // Super-packets and frames are read where they stay; what may have to be split goes through a buffer.
  const size_t before = items_ == PortItems::supers ? sizeof(VnetHeader) : 0;
  while (batch.items < kBatchItems && batch.bytes + before + kMaxItem <= kBatchBytes) {
    VnetHeader header;
    uint8_t* place = items_ == PortItems::packets ? buffer_.get() : memory.data.data() + batch.bytes + before;
    const iovec parts[] = {{&header, sizeof header}, {place, kMaxItem}};
    const bool vnet = tun_.offloads().vnet;
    const ssize_t got = vnet ? readv(tun_.fd(), parts, 2) : readv(tun_.fd(), parts + 1, 1);
    if (got <= 0) {
      if (got < 0 && errno == EINTR) continue;
      return got < 0 && errno == EAGAIN ? Result::empty : Result::gone;
    }
    const size_t skip = vnet ? sizeof header : 0;
    const std::span<uint8_t> bytes{place, static_cast<size_t>(got) > skip ? static_cast<size_t>(got) - skip : 0};
    if (const Filter* filter = filter_.load(std::memory_order_acquire)) remember_sent(*filter, items_, bytes);
    take(batch, memory, header, bytes);
    if (holds()) return Result::full;
  }
  return Result::full;
}

bool PortReader::put(Batch& batch, BatchMemory::One& memory, const VnetHeader& header, View packet) noexcept {
  if (batch.items == 0) batch.kind = items_ = chosen_;
  const bool supers = items_ == PortItems::supers;
  // What is split grows by the headers of its parts, but not to more than twice its size.
  const size_t most = supers ? sizeof header + packet.size() : 2 * kMaxItem;
  if (batch.items > (supers ? kBatchItems - 1 : kBatchItems / 2) || batch.bytes + most > kBatchBytes) return false;
  uint8_t* place = supers ? memory.data.data() + batch.bytes + sizeof header : buffer_.get();
  const size_t size = std::min(packet.size(), kMaxItem);
  memcpy(place, packet.data(), size);
  take(batch, memory, header, {place, size});
  if (holds()) {
    // Cut smaller than the kernel ever does.
    counters_.drop(PortDrop::too_big);
    held_ = {};
  }
  return true;
}

// One item of the device, at its place.
void PortReader::take(Batch& batch, BatchMemory::One& memory, const VnetHeader& header, std::span<uint8_t> bytes) noexcept {
  if (gate_ && !gate_->passes(header, bytes)) return;
  switch (items_) {
    case PortItems::packets: return packet(batch, memory, header, bytes);
    case PortItems::supers: return super(batch, memory, header, bytes);
    case PortItems::frames: return frame(batch, memory, bytes);
  }
}

void PortReader::packet(Batch& batch, BatchMemory::One& memory, const VnetHeader& header, std::span<uint8_t> bytes) noexcept {
  if (!segmenter_.begin(header, bytes, mtu_)) return counters_.drop(PortDrop::malformed_packet);
  held_ = segmenter_.next();
  keep_splitting(batch, memory);
}

// True: nothing is left of the super-packet.
bool PortReader::keep_splitting(Batch& batch, BatchMemory::One& memory) noexcept {
  for (; !held_.empty(); held_ = segmenter_.next()) {
    if (held_.size() > mtu_) {
      counters_.drop(PortDrop::too_big);
      continue;
    }
    if (batch.items == kBatchItems || held_.size() > kBatchBytes - batch.bytes) return false;
    memcpy(memory.data.data() + batch.bytes, held_.data(), held_.size());
    commit(batch, memory, held_.size(), 1, held_.size());
  }
  return true;
}

void PortReader::super(Batch& batch, BatchMemory::One& memory, VnetHeader header, std::span<uint8_t> bytes) noexcept {
  header.flags &= VnetHeader::kNeedsChecksum;
  if (!segmenter_.begin(header, bytes, mtu_)) return counters_.drop(PortDrop::malformed_packet);
  if (header.gso_type == VnetHeader::kGsoNone) {
    if (bytes.size() > mtu_) return counters_.drop(PortDrop::too_big);
    header = {};  // begin has completed its checksum
  }
  const size_t count = segmenter_.count(), headers = repeated_headers(header, bytes);
  store_vnet(bytes.data() - sizeof header, header);
  commit(batch, memory, sizeof header + bytes.size(), count, bytes.size() + (count - 1) * headers);
}

void PortReader::frame(Batch& batch, BatchMemory::One& memory, View bytes) noexcept {
  if (bytes.size() < kMinFrame) return counters_.drop(PortDrop::malformed_packet);
  if (bytes.size() > mtu_ + kMaxFrameHeader) return counters_.drop(PortDrop::too_big);
  commit(batch, memory, bytes.size(), 1, bytes.size());
}

// Makes what lies behind the batch's end its next item.
void PortReader::commit(Batch& batch, BatchMemory::One& memory, size_t item, size_t packets, size_t bytes) noexcept {
  batch.bytes += item;
  memory.ends[batch.items++] = static_cast<uint32_t>(batch.bytes);
  counters_.tx.add(bytes, packets);
}

}  // namespace vpnd
