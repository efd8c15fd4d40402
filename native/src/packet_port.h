// A device's packets for a carrier that is not the mesh: in batches out of it, and in batches into it.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "filter.h"
#include "port_batch.h"
#include "port_counters.h"
#include "tun.h"

namespace vpnd {

struct PortOptions {
  int tun_fd = -1;  // non-blocking; the port's own once it was made
  size_t mtu = 0;   // of the device
  PortItems items = PortItems::packets;
  // There is a batch to take, and perhaps more. Called by the port's thread, or by who calls resume().
  std::function<void()> on_ready;
};

// All but start and stop of one thread only: the carrier's.
class PacketPort {
 public:
  // Null: `error` says why, and the descriptor is still the caller's.
  static std::unique_ptr<PacketPort> make(PortOptions options, std::string& error);
  ~PacketPort();
  PacketPort(const PacketPort&) = delete;
  PacketPort& operator=(const PacketPort&) = delete;

  void start();
  // Ends the thread and closes the device. What was taken stays readable as long as memory() is held.
  void stop();

  // Nothing is read, and take() has nothing, until resume(). The device's queue fills; when it is full the kernel drops.
  void pause();
  void resume();

  // The oldest batch that waits. Until it is given back its memory is the taker's.
  std::optional<Batch> take();
  void give_back(unsigned index);
  const std::shared_ptr<BatchMemory>& memory() const;

  // What batches hold from about now on: each says so itself. False: not of this device.
  bool choose(PortItems items);

  // See PortWriter::write. After stop nothing is done; false: `items` are not of this device.
  bool write(std::span<uint8_t> data, std::span<const uint32_t> ends, PortItems items) noexcept;

  // Which items may come in, from the next write() on.
  void set_filter(const FilterRules& rules);

  PortInfo info() const;
  const TunOffloads& offloads() const;
  // Asks the thread for a sign of life; false: it has not answered the call before.
  bool responds();

 private:
  struct Impl;
  explicit PacketPort(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vpnd
