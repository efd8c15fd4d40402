// Items that a hostile carrier writes: any bytes, and super-packets that the kernel might have made, a little altered.
#pragma once
#include <algorithm>

#include "../test/port_device.h"
#include "input.h"

namespace vpnd::fuzz {

// A super-packet that the kernel might have made, a little altered. `host`: the last byte of its source.
inline Bytes almost_right(Input& in, uint8_t host) {
  test::PacketSpec spec;
  spec.host = host;
  const uint8_t bits = in.u8();
  spec.six = bits & 1;
  spec.udp = bits & 2;
  spec.flags = in.u8();
  spec.sequence = in.u16();
  spec.tcp_options.resize(in.u8() % 11 * size_t{4}, 1);
  if (bits & 4) spec.ip_options.resize(8, 1);
  if (spec.six && !spec.ip_options.empty()) spec.ip_options[0] = spec.udp ? 17 : 6, spec.ip_options[1] = 0;
  const uint16_t gso_size = in.u16() % 2000;
  spec.payload.resize(std::min<size_t>(size_t{gso_size} * (in.u8() % 80), 60000) + in.u8(), in.u8());
  const test::Super super = test::build_super(spec, gso_size);
  Bytes item(sizeof(VnetHeader));
  store_vnet(item.data(), super.header);
  item.insert(item.end(), super.packet.begin(), super.packet.end());
  for (uint8_t n = in.u8() % 4; n > 0; n--) item[in.u16() % std::min<size_t>(item.size(), 120)] ^= in.u8();
  return item;
}

// One more, or an end that is none.
inline void add_item(Input& in, test::Batched& batch, uint8_t host = 1) {
  if (const uint8_t kind = in.u8(); kind % 4 == 0) batch.add(in.piece());
  else if (kind % 16 == 1) batch.ends.push_back(in.u16());
  else batch.add(almost_right(in, host));
}

}  // namespace vpnd::fuzz
