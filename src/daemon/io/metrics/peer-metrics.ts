/** What is measured of peers: one series for each, or, where there are too many of them, one for each network. */
import { Gauge, type Registry } from "prom-client";
import type { PeerView } from "../../core/carrier.js";
import type { MetricsInput } from "./metrics-input.js";
import { mirror } from "./mirror.js";

const peerStates = ["up", "connecting", "idle", "offline", "refused"] as const;
const labelNames = ["network", "peer", "name"] as const;

export function addPeers(registers: Registry[], input: MetricsInput): void {
  const { networks } = input;
  new Gauge({
    name: "vpnd_peers",
    help: "Known peers by state",
    labelNames: ["network", "state"],
    registers,
    collect() {
      this.reset();
      for (const { name: network, peers } of networks()) {
        for (const state of peerStates) this.set({ network, state }, 0);
        for (const { state } of peers) this.inc({ network, state });
      }
    },
  });
  if (input.perPeer) addEach(registers, input);
  else addSums(registers, input);
}

function addEach(registers: Registry[], { networks }: MetricsInput): void {
  const labels = (network: string, peer: PeerView) => ({
    network,
    peer: peer.virtualIp,
    name: peer.name ?? "",
  });
  new Gauge({
    name: "vpnd_peer_up",
    help: "1 if there is a live session with the peer",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { name, peers } of networks())
        for (const peer of peers) this.set(labels(name, peer), peer.state === "up" ? 1 : 0);
    },
  });
  new Gauge({
    name: "vpnd_peer_rtt_seconds",
    help: "Round trip inside the tunnel, smoothed; absent for peers that answer no probes",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { name, peers } of networks())
        for (const peer of peers)
          if (peer.rttSeconds !== undefined) this.set(labels(name, peer), peer.rttSeconds);
    },
  });
  const bytesHelp = "Bytes of inner packets from and to the peer";
  mirror("vpnd_peer_bytes_total", bytesHelp, [...labelNames, "direction"], registers, (add) => {
    for (const { name, peers } of networks())
      for (const peer of peers) {
        add({ ...labels(name, peer), direction: "rx" }, peer.rxBytes);
        add({ ...labels(name, peer), direction: "tx" }, peer.txBytes);
      }
  });
  const pathHelp = "Changes of the path of a living session";
  mirror("vpnd_peer_path_changes_total", pathHelp, [...labelNames], registers, (add) => {
    for (const { name, peers } of networks())
      for (const peer of peers) if (peer.pathChanges !== undefined) add(labels(name, peer), peer.pathChanges);
  });
}

/** The same names without the peers' labels. A sum of round trips says nothing. */
function addSums(registers: Registry[], { networks }: MetricsInput): void {
  new Gauge({
    name: "vpnd_peer_up",
    help: "Peers with a live session",
    labelNames: ["network"],
    registers,
    collect() {
      this.reset();
      for (const { name: network, peers } of networks())
        this.set({ network }, peers.filter(({ state }) => state === "up").length);
    },
  });
  const bytesHelp = "Bytes of inner packets from and to all peers";
  mirror("vpnd_peer_bytes_total", bytesHelp, ["network", "direction"], registers, (add) => {
    // Not the sum over peers, which falls when one is forgotten.
    for (const { name: network, counters } of networks()) {
      add({ network, direction: "rx" }, counters?.rxBytes ?? 0);
      add({ network, direction: "tx" }, counters?.txBytes ?? 0);
    }
  });
  const pathHelp = "Changes of the paths of living sessions";
  mirror("vpnd_peer_path_changes_total", pathHelp, ["network"], registers, (add) => {
    for (const { name: network, pathChanges } of networks()) add({ network }, pathChanges);
  });
}
