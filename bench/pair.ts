/** Two hosts joined by one cable and by nothing else: what a bench measures through. */
import { must, waitFor } from "../test/lab/command.js";
import { type Host, Lab } from "../test/lab/lab.js";

/**
 * - `veth`: as the kernel makes it; a "packet" is up to 64 KiB that nobody ever cuts
 * - `nooffload`: each packet crosses by itself, and arrives by itself
 * - `gro`: each packet crosses by itself; the receiver puts them together, as a network card's driver does
 * - `1g`: `veth`, and each side sends at most 1 Gbit/s
 */
export const linkKinds = ["veth", "nooffload", "gro", "1g"] as const;
export type LinkKind = (typeof linkKinds)[number];

export interface Pair {
  lab: Lab;
  a: Host;
  b: Host;
}

const off = {
  veth: [],
  "1g": [],
  nooffload: ["tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"],
  gro: ["tso", "off", "gso", "off", "tx-udp-segmentation", "off", "gro", "on"],
} as const satisfies Record<LinkKind, readonly string[]>;

/** Close the pair with `pair.lab.close()`. */
export async function makePair(kind: LinkKind): Promise<Pair> {
  const lab = await Lab.create("bench-pair");
  try {
    const [a, b] = [await lab.publicHost("a"), await lab.publicHost("b")];
    // The lab's segment has a bridge in the middle, which is work that a cable does not do.
    for (const host of [a, b]) await host.ip("link", "del", "eth0");
    const far = ["peer", "name", "eth0", "mtu", "1500", "netns", b.netns];
    await must("ip", ["link", "add", "eth0", "netns", a.netns, "mtu", "1500", "type", "veth", ...far]);
    for (const [index, host] of [a, b].entries()) {
      host.address = `10.211.0.${index + 1}`;
      host.address6 = "";
      await host.ip("addr", "add", `${host.address}/24`, "dev", "eth0");
      await host.ip("link", "set", "eth0", "up");
      if (off[kind].length > 0)
        await must("ip", ["netns", "exec", host.netns, "ethtool", "-K", "eth0", ...off[kind]]);
      if (kind === "1g") await lab.shape(host, "1gbit", "256kb");
    }
    return { lab, a, b };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** Waits until a packet gets through; a program's ways open when they open. */
export async function answers(pair: Pair, address: string): Promise<void> {
  await waitFor(
    async () => (await pair.a.exec("ping", ["-n", "-c", "1", "-W", "1", address])).code === 0,
    30_000,
    `an answer of ${address}`,
  );
}
