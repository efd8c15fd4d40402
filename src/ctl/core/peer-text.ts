import { formatBytes } from "../../common/format/bytes.js";
import { formatRtt } from "../../common/format/duration.js";
import type { GetPeerResponse, NetworkPeers, Peer, PingResponse } from "../../common/gen/vpnd/v1/peer_pb.js";
import { type Look, plain } from "./look.js";
import { reasonText } from "./network-text.js";
import { ago, bareAddress } from "./present.js";
import { block, notes, printable, table } from "./table.js";

const header = ["IP", "NAME", "PATH", "STATE", "RTT", "RX", "TX", "ENDPOINT", "REASON"];
const droppable = ["ENDPOINT", "RX", "TX", "RTT", "PATH"];

/** The node itself first, then its peers as the daemon sorts them; remarks last. */
export function peersText(networks: readonly NetworkPeers[], look: Look = plain): string {
  if (networks.length === 0) return notes(["no networks; join one: vpnctl join --help"]);
  return networks
    .map(
      (network) =>
        (networks.length > 1 ? `${printable(network.network)}:\n` : "") + networkPeers(network, look),
    )
    .join("\n");
}

function networkPeers(network: NetworkPeers, look: Look): string {
  const self = network.self;
  const rows = network.peers.map(peerRow);
  if (self !== undefined)
    rows.unshift([
      bareAddress(self.virtualIp),
      self.name || "-",
      "self",
      self.state,
      "-",
      "-",
      "-",
      self.publicEndpoint || "-",
      reasonText(self.reason),
    ]);
  return table(header, rows, { look, droppable }) + notes(remarks(network));
}

/**
 * Under a wrong key the network is another one, and empty: the fingerprint lets people see it. While no server has
 * answered, emptiness says nothing about the key.
 */
function remarks(network: NetworkPeers): string[] {
  const fingerprint = network.self?.pskFingerprint ?? "";
  const own: string[] = [];
  if (fingerprint !== "" && network.peers.length === 0 && network.self?.state === "up")
    own.push(`nobody else is here: is the key right? fingerprint ${fingerprint}`);
  else if (fingerprint !== "") own.push(`psk fingerprint ${fingerprint}`);
  return [...own, ...network.notes.filter((note) => !own.includes(note))];
}

function peerRow(peer: Peer): string[] {
  return [
    // A link's other end that said nothing yet.
    peer.virtualIp === "0.0.0.0" ? "-" : peer.virtualIp,
    peer.name || "-",
    peer.path,
    peer.state,
    peer.rttSeconds === undefined ? "-" : formatRtt(peer.rttSeconds),
    formatBytes(Number(peer.rxBytes)),
    formatBytes(Number(peer.txBytes)),
    peer.endpoint || "-",
    reasonText(peer.reason),
  ];
}

export function peerText(answer: GetPeerResponse, peer: Peer, now: Date): string {
  const pinned = ago(answer.pinnedSince, now);
  return block(`peer: ${peer.name || peer.virtualIp}`, [
    ["network", answer.network],
    ["address", peer.virtualIp],
    ["state", peer.state],
    ["reason", reasonText(peer.reason)],
    ["since", ago(peer.since, now)],
    ["path", peer.path],
    ["endpoint", peer.endpoint],
    ["known endpoints", answer.endpoints.join(", ")],
    ["round trip", peer.rttSeconds === undefined ? undefined : formatRtt(peer.rttSeconds)],
    ["mtu", peer.mtu === 0 ? undefined : String(peer.mtu)],
    ["latest handshake", ago(peer.lastHandshake, now)],
    [
      "transfer",
      `${formatBytes(Number(peer.rxBytes))} received, ${formatBytes(Number(peer.txBytes))} sent` +
        ` (${peer.rxPackets} and ${peer.txPackets} packets)`,
    ],
    ["cipher", peer.cipher],
    ["node key", peer.nodeKey],
    ["pinned", pinned],
    ["kind", peer.foreign ? "foreign (not vpnd): no pin, no probes" : undefined],
  ]);
}

export function pingText(pong: PingResponse): string {
  const who = pong.name === "" ? pong.virtualIp : `${pong.name} (${pong.virtualIp})`;
  if (pong.rttSeconds === undefined) return `${printable(who)}: no answer, seq ${pong.sequence}\n`;
  const via = [pong.path, pong.endpoint].filter((part) => part !== "").join(" ");
  return `${printable(who)}: seq ${pong.sequence}, ${formatRtt(pong.rttSeconds)}${via === "" ? "" : `, ${printable(via)}`}\n`;
}

/** The line after the last ping. @param rtts seconds of the answers */
export function pingSummary(sent: number, rtts: readonly number[]): string {
  const lost = sent === 0 ? 0 : Math.round(((sent - rtts.length) / sent) * 100);
  const counts = `${sent} sent, ${rtts.length} answered, ${lost} % lost`;
  if (rtts.length === 0) return notes([counts]);
  const mean = rtts.reduce((sum, rtt) => sum + rtt, 0) / rtts.length;
  const range = [Math.min(...rtts), mean, Math.max(...rtts)].map(formatRtt).join(" / ");
  return notes([`${counts}; least / mean / most ${range}`]);
}
