/** What a line on a network says. */
export interface NetworkState {
  state: string;
  peers: readonly { state: string }[];
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** One line on all networks, for `systemctl status`: no names, for the journal of others to read. */
export function statusLine(networks: readonly NetworkState[]): string {
  if (networks.length === 0) return "no network joined";
  const running = networks.filter((one) => one.state === "running");
  const failed = networks.filter((one) => one.state === "error").length;
  const peers = running.flatMap((one) => one.peers);
  const up = peers.filter((peer) => peer.state === "up").length;
  return [
    `${running.length} of ${plural(networks.length, "network")} up`,
    ...(failed > 0 ? [`${failed} with an error`] : []),
    `${up} of ${plural(peers.length, "peer")} up`,
  ].join(", ");
}
