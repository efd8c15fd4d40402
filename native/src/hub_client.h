// A client of a port hub: what it may send, what it gets, and what is counted of it.
#pragma once
#include <optional>

#include "backlog.h"
#include "byte_budget.h"
#include "destinations.h"
#include "port_hub.h"
#include "port_reader.h"
#include "source_nat.h"
#include "tun_out.h"

namespace vpnd {

struct HubClient final : PortWriter::Gate, PortReader::Gate {
  // shared: the device, which is all clients', if there is one; else options.tun_fd is.
  HubClient(HubClientOptions options, const Destinations& where, const Tun* shared)
      : has_device(!shared),
        tun(shared ? *shared : Tun(options.tun_fd)),
        sources(std::move(options.sources)),
        destinations(where),
        reader(options.items, options.mtu, tun, counters),
        out(tun),
        writer(options.items, options.mtu, tun.offloads(), out, counters) {
    writer.guard(this);
    if (options.any_source) nat.emplace(sources);
    if (options.limit) budget.emplace(*options.limit);
    if (nat || budget) reader.guard(this);
  }

  bool admits(const IpHeader& ip, const VnetHeader& header, std::span<uint8_t> packet) noexcept override {
    // First this: what goes nowhere teaches nothing of the client's address.
    if (!destinations.permits(ip.destination)) counters.drop(PortDrop::forbidden_destination);
    else if (nat ? !nat->knows(ip.source) : !any_contains(sources, ip.source)) counters.drop(PortDrop::foreign_source);
    else if (budget && !budget->spend(packet.size())) counters.drop(PortDrop::quota);
    else if (nat && !nat->leaving(header, packet)) counters.drop(PortDrop::malformed_inner);
    else return true;
    return false;
  }
  bool passes(const VnetHeader& header, std::span<uint8_t> packet) noexcept override {
    if (budget && !budget->spend(packet.size())) counters.drop(PortDrop::quota);
    else if (nat && !nat->arriving(header, packet)) counters.drop(PortDrop::malformed_packet);
    else return true;
    return false;
  }

  const bool has_device;
  const Tun tun;
  const std::vector<Prefix> sources;
  const Destinations& destinations;
  PortCounters counters;
  std::optional<SourceNat> nat;
  std::optional<ByteBudget> budget;
  PortReader reader;
  TunOut out;
  PortWriter writer;
  PortHub::Mode mode = PortHub::Mode::pause;
  // Of the shared device.
  std::optional<Batch> open;  // being filled
  Backlog backlog;
};

}  // namespace vpnd
