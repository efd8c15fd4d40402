/** What a mesh shows: the core's part and the engine's together. */
import type { CarrierView, PeerView } from "../../core/carrier.js";
import type { EngineCounters, PeerCounters } from "../../core/engine.js";
import type { CorePeerView } from "../../core/mesh/mesh-core.js";

/** Data ciphers that the engine has. */
export const ciphers = ["AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"];

/** Before the start. */
export const emptyView = (): CarrierView => ({
  state: "connecting",
  servers: [],
  peers: [],
  counters: { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} },
  unknownDestinations: [],
  ciphers,
  notes: [],
});

/** What the core and the engine know of a peer. */
export function peerView({ id: _, ...peer }: CorePeerView, counters: PeerCounters | undefined): PeerView {
  const { rxBytes = 0, txBytes = 0, rxPackets = 0, txPackets = 0 } = counters ?? {};
  const view: PeerView = { ...peer, rxBytes, txBytes, rxPackets, txPackets };
  if (counters?.rttSeconds !== undefined && peer.state === "up") view.rttSeconds = counters.rttSeconds;
  if (counters?.mtu !== undefined && peer.state === "up") view.mtu = counters.mtu;
  return view;
}

/** Datagrams that the engine handed on and the mesh had no use for are drops like the engine's own. */
export function withIgnored(counters: EngineCounters, ignored: number): EngineCounters {
  return ignored === 0 ? counters : { ...counters, drops: { ...counters.drops, "not-a-map": ignored } };
}
