// hot: items from the device into a batch: read, split where they have to be. One thread.
#pragma once
#include <atomic>

#include "port_batch.h"
#include "port_counters.h"
#include "port_filter.h"
#include "segment.h"
#include "tun.h"

namespace vpnd {

class PortReader {
 public:
  // Sees each packet as the device gave it, and may change it, but not its length. False: it goes no further, and is counted.
  class Gate {
   public:
    virtual bool passes(const VnetHeader& header, std::span<uint8_t> packet) noexcept = 0;

   protected:
    ~Gate() = default;
  };

  // filter: told what this host sends.
  PortReader(PortItems items, size_t mtu, const Tun& tun, PortCounters& counters,
             const std::atomic<const Filter*>& filter = kNoFilter);

  // Null: all packets pass as they are.
  void guard(Gate* gate) noexcept { gate_ = gate; }

  enum class Result {
    empty,  // the device has no more now
    full,   // the batch has no room for what may come
    gone,   // the device
  };
  // Of the batches begun from now on; by another thread than fill()'s.
  void choose(PortItems items) noexcept { chosen_ = items; }
  // Adds what the device has to the batch, the memory of which is `memory`. Sets the kind of a batch that is empty.
  Result fill(Batch& batch, BatchMemory::One& memory) noexcept;
  // Adds a packet that somebody else read. False: the batch has no room; one without items has room for any.
  bool put(Batch& batch, BatchMemory::One& memory, const VnetHeader& header, View packet) noexcept;
  // Whether the next packets of a super-packet wait for a batch.
  bool holds() const { return !held_.empty(); }

 private:
  // Largest item that a device gives, without its vnet header.
  static constexpr size_t kMaxItem = 65536;

  void take(Batch& batch, BatchMemory::One& memory, const VnetHeader& header, std::span<uint8_t> bytes) noexcept;
  bool keep_splitting(Batch& batch, BatchMemory::One& memory) noexcept;
  void packet(Batch& batch, BatchMemory::One& memory, const VnetHeader& header, std::span<uint8_t> bytes) noexcept;
  void super(Batch& batch, BatchMemory::One& memory, VnetHeader header, std::span<uint8_t> bytes) noexcept;
  void frame(Batch& batch, BatchMemory::One& memory, View bytes) noexcept;
  void commit(Batch& batch, BatchMemory::One& memory, size_t item, size_t packets, size_t bytes) noexcept;

  std::atomic<PortItems> chosen_;
  PortItems items_;  // of the batch that is being filled
  const size_t mtu_;
  const Tun& tun_;
  PortCounters& counters_;
  Gate* gate_ = nullptr;
  const std::atomic<const Filter*>& filter_;
  Segmenter segmenter_;
  std::span<uint8_t> held_;  // the next of the super-packet in buffer_, which found no room
  std::unique_ptr<uint8_t[]> buffer_;
};

}  // namespace vpnd
