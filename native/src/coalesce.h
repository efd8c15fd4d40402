// hot: Merges packets that came one after another in a flow, so that the TUN takes them with one write. No I/O, no allocation,
// no copy of a payload.
#pragma once
#include <sys/uio.h>

#include <array>

#include "bytes.h"
#include "vnet_header.h"

namespace vpnd {

// Only what the kernel can split again into exactly these packets is merged, and only after their checksums were verified: a
// merged packet is one that the kernel trusts. The order within a flow stays; a packet whose flow cannot be told (a fragment,
// an IPv4 option, another protocol) stays in order with all flows of its two addresses.
class Coalescer {
 public:
  // What the TUN takes.
  struct Options {
    bool tcp4 = false;
    bool tcp6 = false;
    bool udp = false;  // GSO_UDP_L4
  };

  class Sink {
   public:
    // Write these parts as one: the vnet header and what follows it. `packets`: how many were merged, `bytes`: their size
    // now, without the vnet header. The parts are valid during the call.
    virtual void write(const iovec* parts, int count, size_t packets, size_t bytes, void* owner) noexcept = 0;

   protected:
    ~Sink() = default;
  };

  static constexpr size_t kGroups = 8;
  static constexpr size_t kMaxPackets = 128;
  static constexpr size_t kMaxDatagrams = 64;  // UDP_MAX_SEGMENTS of Linux before 6.9

  Coalescer(Options options, Sink& sink) noexcept;
  Coalescer(const Coalescer&) = delete;
  Coalescer& operator=(const Coalescer&) = delete;

  // `packet`: one whole IP packet (parse_ip). It must stay as it is until flush. Packets of different owners are never merged.
  void add(std::span<const uint8_t> packet, void* owner) noexcept;

  // Writes what is still held. To be called at the end of a batch.
  void flush() noexcept;

  struct Packet;  // what add found in a packet's headers

 private:
  struct Group {
    uint64_t addresses = 0;  // hashes of
    void* owner = nullptr;
    const uint8_t* first = nullptr;  // packet; null: free
    size_t transport = 0;
    size_t headers = 0;
    size_t segment = 0;  // payload of the first
    size_t payload = 0;  // of all
    size_t packets = 0;
    uint32_t next_sequence = 0;
    uint16_t next_id = 0;
    bool udp = false;
    bool verified = false;  // the first one's checksums
    bool push = false;
    std::array<iovec, 1 + kMaxPackets> parts;  // [0] is for the headers
  };

  bool parse(std::span<const uint8_t> packet, Packet& out) const noexcept;
  Group* find(const Packet& packet, void* owner) noexcept;
  bool merge(Group& group, const Packet& packet) noexcept;
  void open(const Packet& packet, void* owner) noexcept;
  void write_group(Group& group) noexcept;
  void write_merged(Group& group) noexcept;
  void write_single(View packet, void* owner) noexcept;
  void flush_addresses(uint64_t addresses) noexcept;

  const Options options_;
  Sink& sink_;
  size_t used_ = 0;    // open groups
  size_t victim_ = 0;  // written first when there is no free one
  std::array<uint64_t, kGroups> flows_{};  // hashes of the open groups; what a free one has does not matter
  std::array<Group, kGroups> groups_;
  VnetHeader plain_{};
  std::array<uint8_t, sizeof(VnetHeader) + 40 + 60> head_;
};

}  // namespace vpnd
