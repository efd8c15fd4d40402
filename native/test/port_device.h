// What a packet port writes to a device in tests: the batch, and a device that keeps it.
#pragma once
#include "merging.h"
#include "port_writer.h"
#include "super_packet.h"
#include "tcp_udp_packets.h"

namespace vpnd::test {

struct Batched {
  Bytes data;
  std::vector<uint32_t> ends;
  void add(View item) {
    data.insert(data.end(), item.begin(), item.end());
    ends.push_back(static_cast<uint32_t>(data.size()));
  }
  void add(const Super& super) {
    Bytes item(sizeof(VnetHeader));
    store_vnet(item.data(), super.header);
    item.insert(item.end(), super.packet.begin(), super.packet.end());
    add(item);
  }
};

class PortDevice final : public PortWriter::Device {
 public:
  int write(const iovec* parts, int count) noexcept override {
    Bytes all;
    for (int i = 0; i < count; i++) {
      const auto* bytes = static_cast<const uint8_t*>(parts[i].iov_base);
      all.insert(all.end(), bytes, bytes + parts[i].iov_len);
    }
    Written one;
    if (all.size() < sizeof one.header) return EINVAL;
    memcpy(&one.header, all.data(), sizeof one.header);
    one.packet.assign(all.begin() + sizeof one.header, all.end());
    if (one.header.gso_type == VnetHeader::kGsoNone) {
      one.packets = 1;
    } else if (one.header.gso_size > 0 && one.packet.size() > one.header.header_length) {
      one.packets = (one.packet.size() - one.header.header_length + one.header.gso_size - 1) / one.header.gso_size;
    }
    writes.push_back(std::move(one));
    return 0;
  }
  // What the kernel makes of it.
  std::vector<Bytes> packets() const { return unmerge(writes); }
  std::vector<Written> writes;
};

}  // namespace vpnd::test
