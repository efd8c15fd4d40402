// hot: items from a carrier to the device: checked, merged and written. One thread at a time.
#pragma once
#include "coalesce.h"
#include "ip_packet.h"
#include "port_counters.h"
#include "port_filter.h"
#include "segment.h"
#include "tun.h"

namespace vpnd {

class PortWriter : private Coalescer::Sink {
 public:
  // Where packets go: the TUN, or what a test has in its place.
  class Device {
   public:
    // A vnet header in the first part, and what follows it. Returns 0 or an errno value.
    virtual int write(const iovec* parts, int count) noexcept = 0;

   protected:
    ~Device() = default;
  };

  // Which packets may come in; asked for each that is one whole IP packet, and counts those that may not. It may change the packet,
  // but not its length. header: its vnet header, which came with it; without a word about it if none did.
  class Gate {
   public:
    virtual bool admits(const IpHeader& ip, const VnetHeader& header, std::span<uint8_t> packet) noexcept = 0;

   protected:
    ~Gate() = default;
  };

  // mtu: super-packets are split to fit it where the device takes none. filter: what may come in; it is replaced by the thread that
  // writes.
  PortWriter(PortItems items, size_t mtu, const TunOffloads& offloads, Device& device, PortCounters& counters,
             const std::atomic<const Filter*>& filter = kNoFilter) noexcept;

  // What the next calls of write() hold.
  void choose(PortItems items) noexcept { items_ = items; }

  // Null: all may.
  void guard(Gate* gate) noexcept { gate_ = gate; }

  // Items one behind the other, `ends[i]` the end of item i. All of it may come from a stranger: what is wrong is counted and goes
  // nowhere. `data` must not change meanwhile, and what it holds afterwards is not defined.
  void write(std::span<uint8_t> data, std::span<const uint32_t> ends) noexcept;

 private:
  void item(std::span<uint8_t> bytes) noexcept;
  bool passes(View bytes) noexcept;
  void frame(View bytes) noexcept;
  void super(VnetHeader header, std::span<uint8_t> packet) noexcept;
  void plain(View packet) noexcept;
  void write(const iovec* parts, int count, size_t packets, size_t bytes, void* owner) noexcept override;
  void hand_over(const iovec* parts, int count, size_t packets, size_t bytes) noexcept;

  PortItems items_;
  const size_t mtu_;
  const TunOffloads offloads_;
  Device& device_;
  PortCounters& counters_;
  Gate* gate_ = nullptr;
  const std::atomic<const Filter*>& filter_;
  Coalescer coalescer_;
  Segmenter segmenter_;
};

}  // namespace vpnd
