/** Links over TCP: the classic program, and two ends of ours with and without TLS. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../test/lab/command.js";
import { repository } from "../../test/lab/lab.js";
import { Daemon, pskGenerate } from "../../test/lab/programs.js";
import type { Pair } from "../pair.js";
import { addressOn, type Contestant, inner } from "./contestant.js";

const port = "55555";
const device = "classic0";

/** The program is compiled afresh, so that it is what its source says. */
const classic: Contestant = {
  name: "classic",
  version: "bench/contestants/classic-tunnel.c, not encrypted",
  async start({ lab, a, b }) {
    const program = join(lab.folder, "classic-tunnel");
    await must("cc", ["-O2", "-o", program, join(repository, "bench/contestants/classic-tunnel.c")]);
    for (const [host, address] of [
      [a, inner.a],
      [b, inner.b],
    ] as const) {
      await host.ip("tuntap", "add", "dev", device, "mode", "tun");
      await addressOn(host, device, address);
    }
    const server = a.spawn("classic", program, [device, "listen", port]);
    await a.listening(server, "tcp", Number(port));
    b.spawn("classic", program, [device, "connect", a.address, port]);
    return { address: inner.b, device };
  },
};

function link(name: string, version: string, encrypted: boolean): Contestant {
  return { name, version, start: (pair) => startLink(pair, encrypted) };
}

async function startLink({ a, b }: Pair, encrypted: boolean): Promise<{ address: string; device: string }> {
  const psk = await pskGenerate();
  const [near, far] = [new Daemon(a), new Daemon(b)];
  await Promise.all([near.start(), far.start()]);
  for (const [daemon, end, vip] of [
    [near, ["--tcp-listen", port], inner.a],
    [far, ["--tcp-connect", `${a.address}:${port}`], inner.b],
  ] as const) {
    const file = join(daemon.host.folder, "link.key");
    writeFileSync(file, `${psk}\n`, { mode: 0o600 });
    const key = encrypted ? ["--tls-psk-file", file] : [];
    await daemon.ok(["join", ...end, "--vip", `${vip}/24`, ...key]);
  }
  await Promise.all([near.peerUp(inner.b), far.peerUp(inner.a)]);
  return { address: inner.b, device: (await near.peers()).self.device };
}

export const links: readonly Contestant[] = [
  classic,
  link("vpnd-tcp", "not encrypted", false),
  link("vpnd-tls", "TLS 1.3 with a PSK, AES-128-GCM", true),
];
