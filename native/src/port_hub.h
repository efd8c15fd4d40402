// The devices of many clients for one carrier: one thread reads them all, and each client is held to its own addresses.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "destinations.h"
#include "hub_batches.h"
#include "hub_directory.h"
#include "port_counters.h"

namespace vpnd {

struct HubClientOptions {
  int tun_fd = -1;  // non-blocking; the hub's own once it was added; -1: it has the shared device
  size_t mtu = 0;   // of the device
  PortItems items = PortItems::packets;  // packets or supers
  std::vector<Prefix> sources;           // of what the client may send
  bool any_source = false;  // it may send as any one address of a family, and is given that of `sources`, which are addresses
  std::optional<uint64_t> limit = std::nullopt;  // bytes that may pass, both ways together; empty: as many as they like
};

struct HubClientInfo : PortInfo {
  uint64_t passed;               // bytes that count against the limit; 0 without one
  std::vector<Address> learned;  // what it sends as, with any_source
};

// All but the thread's part is of one thread only: the carrier's.
class PortHub {
 public:
  enum class Mode : uint8_t {
    read,
    pause,    // the device's queue fills; when it is full the kernel drops. Of a shared device: a backlog
    discard,  // the client is away: what is for it is counted and gone, lest it come late
  };

  // Null: `error` says why. on_ready: there is a batch to take, and perhaps more; called by the hub's thread.
  static std::unique_ptr<PortHub> make(Destinations destinations, std::function<void()> on_ready, std::string& error);
  ~PortHub();
  PortHub(const PortHub&) = delete;
  PortHub& operator=(const PortHub&) = delete;

  // Before start(): all clients have this device, and are told apart by their sources, which are addresses then. A client that is
  // paused has a backlog of its own. directory: common to hubs that have a queue of the device each; null: this one has it alone.
  // False: `error` says why, and the descriptor is still the caller's.
  bool share(int tun_fd, std::string& error, std::shared_ptr<HubDirectory> directory = nullptr);
  // Why packets of the shared device went to no client; empty: there is no such device.
  std::optional<PortInfo> shared_info() const;

  void start();
  // Ends the thread and closes all devices.
  void stop();

  // False: `error` says why, and the descriptor is still the caller's.
  bool add(uint32_t client, HubClientOptions options, std::string& error);
  // Closes its own device, unless it is to be kept. The descriptor, or -1.
  int remove(uint32_t client, bool keep);
  void set_mode(uint32_t client, Mode mode);
  // For a client that has a limit: so many bytes may pass from its beginning on. When a packet would be too many, nothing more passes,
  // and all of it counts as passed.
  void set_limit(uint32_t client, uint64_t bytes);
  // What its batches hold from about now on.
  void choose(uint32_t client, PortItems items);
  // See PortWriter::write. Nothing for a client that is not there.
  void write(uint32_t client, std::span<uint8_t> data, std::span<const uint32_t> ends, PortItems items) noexcept;
  // Empty: it is not there.
  std::optional<HubClientInfo> info(uint32_t client) const;

  std::optional<HubBatch> take();
  void give_back(unsigned index);
  const std::shared_ptr<HubMemory>& memory() const;
  // Asks the thread for a sign of life; false: it has not answered the call before.
  bool responds();

 private:
  struct Impl;
  explicit PortHub(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vpnd
