#include "port_writer.h"

#include "super_packet.h"

namespace vpnd {

PortWriter::PortWriter(PortItems items, size_t mtu, const TunOffloads& offloads, Device& device, PortCounters& counters,
                       const std::atomic<const Filter*>& filter) noexcept
    : items_(items),
      mtu_(mtu),
      offloads_(offloads),
      device_(device),
      counters_(counters),
      filter_(filter),
      coalescer_({offloads.tso, offloads.tso, offloads.uso}, *this) {}

void PortWriter::write(std::span<uint8_t> data, std::span<const uint32_t> ends) noexcept {
  size_t from = 0;
  for (const uint32_t end : ends) {
    if (end < from || end > data.size()) {
      counters_.drop(PortDrop::bad_batch);
      break;
    }
    item(data.subspan(from, end - from));
    from = end;
  }
  coalescer_.flush();
}

void PortWriter::item(std::span<uint8_t> bytes) noexcept {
  if (items_ == PortItems::frames) return frame(bytes);
  VnetHeader header;
  if (items_ == PortItems::supers) {
    if (bytes.size() < sizeof header) return counters_.drop(PortDrop::malformed_inner);
    header = load_vnet(bytes.data());
    bytes = bytes.subspan(sizeof header);
  }
  IpHeader ip;
  if (!parse_ip(bytes, ip)) return counters_.drop(PortDrop::malformed_inner);
  if (gate_ && !gate_->admits(ip, header, bytes)) return;
  if (!passes(bytes)) return counters_.drop(PortDrop::filtered);
  if (items_ == PortItems::supers) super(header, bytes);
  else coalescer_.add(bytes, nullptr);
}

bool PortWriter::passes(View bytes) noexcept {
  const Filter* filter = filter_.load(std::memory_order_acquire);
  return !filter || may_come_in(*filter, items_, bytes);
}

void PortWriter::frame(View bytes) noexcept {
  if (bytes.size() < kMinFrame) return counters_.drop(PortDrop::malformed_inner);
  if (bytes.size() > mtu_ + kMaxFrameHeader) return counters_.drop(PortDrop::too_big);
  if (!passes(bytes)) return counters_.drop(PortDrop::filtered);
  plain(bytes);
}

void PortWriter::super(VnetHeader header, std::span<uint8_t> packet) noexcept {
  if (!segmenter_.begin(header, packet, mtu_)) return counters_.drop(PortDrop::bad_header);
  // What was one packet has its checksum by now.
  if (header.gso_type == VnetHeader::kGsoNone) return coalescer_.add(packet, nullptr);
  // What waits there may be of the same flow, and was before it.
  coalescer_.flush();
  const size_t count = segmenter_.count();
  VnetHeader fresh;
  if (kernel_takes(offloads_, header, packet, count, mtu_, fresh)) {
    const iovec parts[] = {{&fresh, sizeof fresh}, {packet.data(), packet.size()}};
    return hand_over(parts, 2, count, packet.size() + (count - 1) * fresh.header_length);
  }
  for (View segment = segmenter_.next(); !segment.empty(); segment = segmenter_.next()) plain(segment);
}

void PortWriter::plain(View packet) noexcept {
  VnetHeader none;
  const iovec parts[] = {{&none, sizeof none}, {const_cast<uint8_t*>(packet.data()), packet.size()}};
  hand_over(parts, 2, 1, packet.size());
}

void PortWriter::write(const iovec* parts, int count, size_t packets, size_t bytes, void*) noexcept {
  // As many headers as there were packets.
  VnetHeader header;
  memcpy(&header, parts[0].iov_base, sizeof header);
  hand_over(parts, count, packets, bytes + (packets - 1) * header.header_length);
}

void PortWriter::hand_over(const iovec* parts, int count, size_t packets, size_t bytes) noexcept {
  if (device_.write(parts, count) != 0) return counters_.drop(PortDrop::tun_error, packets);
  counters_.rx.add(bytes, packets);
}

}  // namespace vpnd
