// Runs packets through a Coalescer and back, and compares what came out with what went in.
#pragma once
#include "coalesce.h"

namespace vpnd::test {

// One write to the TUN.
struct Written {
  VnetHeader header;
  Bytes packet;
  size_t packets = 0;
  void* owner = nullptr;
  int parts = 0;
};

class Recorder final : public Coalescer::Sink {
 public:
  void write(const iovec* parts, int count, size_t packets, size_t bytes, void* owner) noexcept override;
  std::vector<Written> writes;
  bool sizes_right = true;  // what the sink was told, against the parts
};

constexpr Coalescer::Options kMergeAll{.tcp4 = true, .tcp6 = true, .udp = true};

// As one batch; empty when the sink was told wrong sizes.
std::vector<Written> merge(const std::vector<Bytes>& packets, Coalescer::Options options = kMergeAll);

// The packets that the kernel makes of it: cut up again. Empty when something cannot be cut up into as many as were merged.
std::vector<Bytes> unmerge(const std::vector<Written>& writes);

// The same packets, each flow's in the same order, and what is of no flow in the same order with all between its addresses.
// The ids of IPv4 packets that may not be fragmented may differ.
bool same_by_flow(const std::vector<Bytes>& in, const std::vector<Bytes>& out);

}  // namespace vpnd::test
