/** No tunnel at all, on links of several kinds, and the kernel's own tunnel without encryption. */
import { release } from "node:os";
import type { LinkKind } from "../pair.js";
import { addressOn, type Contestant, inner } from "./contestant.js";

const version = `Linux ${release()}`;

function raw(name: string, link?: LinkKind): Contestant {
  return {
    name,
    version,
    ...(link === undefined ? {} : { link }),
    start: async ({ b }) => ({ address: b.address, device: "eth0" }),
  };
}

const vxlan: Contestant = {
  name: "vxlan",
  version: `${version}, no encryption`,
  async start({ a, b }) {
    const ends = [
      { host: a, far: b, address: inner.a },
      { host: b, far: a, address: inner.b },
    ];
    for (const { host, far, address } of ends) {
      const link = ["type", "vxlan", "id", "42", "dstport", "4789", "dev", "eth0"];
      await host.ip("link", "add", "vx0", ...link, "local", host.address, "remote", far.address);
      await addressOn(host, "vx0", address);
    }
    return { address: inner.b, device: "vx0" };
  },
};

export const kernel: readonly Contestant[] = [
  raw("raw"),
  raw("raw-nooffload", "nooffload"),
  raw("raw-gro", "gro"),
  vxlan,
];
