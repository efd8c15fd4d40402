/** How two hosts join a network by each carrier, and how its far end is cut off: what the contract suite is run over. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host, Lab } from "./lab.js";
import { Database } from "./postgres.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "./programs.js";

export interface Ends {
  a: Daemon;
  b: Daemon;
}

export const inner = { a: "10.60.0.1", b: "10.60.0.2" } as const;

export interface CarrierKind {
  /** As `vpnctl network` calls it. */
  name: string;
  /** Of a peer that is up. */
  path: string;
  /**
   * Starts what both ends need besides themselves.
   * @returns joins one of them; `a` first
   */
  prepare(lab: Lab, ends: Ends): Promise<(daemon: Daemon) => Promise<void>>;
  /** From here on nothing of what this end sends arrives anywhere, and nothing reaches it; nobody is told. */
  silence(end: Daemon): Promise<void>;
  restore(end: Daemon): Promise<void>;
}

/** Everything but the loopback is dropped: of a host whose cable is out, as the others see it. */
async function unplug({ host }: Daemon): Promise<void> {
  const chain = (name: string) =>
    `add chain inet unplugged ${name} { type filter hook ${name} priority 0; policy drop; }
add rule inet unplugged ${name} meta ${name === "input" ? "iif" : "oif"} lo accept`;
  await host.nft(`add table inet unplugged\n${chain("input")}\n${chain("output")}\n`);
}

const replug = ({ host }: Daemon): Promise<void> => host.nft("delete table inet unplugged\n");

export function keyFile(host: Host, name: string, psk: string): string {
  const path = join(host.folder, name);
  writeFileSync(path, `${psk}\n`, { mode: 0o600 });
  return path;
}

const mesh: CarrierKind = {
  name: "mesh",
  path: "direct",
  async prepare(lab, { a }) {
    const server = await lab.publicHost("server");
    await iexd(server);
    const psk = await pskGenerate();
    return async (daemon) => {
      const vip = `${daemon === a ? inner.a : inner.b}/24`;
      // The same port each time: a node at another one would wait until the server has forgotten its former self.
      const more = ["--listen-port", "40000"];
      const name = daemon === a ? "a" : "b";
      await daemon.join({ iex: `${server.address}:${iexPort}`, psk, vip, name, more });
    };
  },
  silence: unplug,
  restore: replug,
};

const tcpPort = "55555";

const tcp: CarrierKind = {
  name: "tcp",
  path: "tcp",
  async prepare(_lab, { a }) {
    const psk = await pskGenerate();
    return async (daemon) => {
      const end =
        daemon === a ? ["--tcp-listen", tcpPort] : ["--tcp-connect", `${a.host.address}:${tcpPort}`];
      const vip = daemon === a ? inner.a : inner.b;
      const key = keyFile(daemon.host, "link.key", psk);
      const name = daemon === a ? "a" : "b";
      await daemon.ok(["join", ...end, "--vip", `${vip}/24`, "--tls-psk-file", key, "--name", name]);
    };
  },
  silence: unplug,
  restore: replug,
};

const postgres: CarrierKind = {
  name: "postgres",
  path: "postgres",
  async prepare(lab, { a }) {
    const server = await lab.publicHost("db");
    const database = await Database.create(server, server.address);
    const [role, password] = ["owner", "of the log"];
    await database.makeLog(role, password);
    return async (daemon) => {
      const vip = `${daemon === a ? inner.a : inner.b}/24`;
      const file = keyFile(daemon.host, "password", password);
      const name = daemon === a ? "a" : "b";
      const end = ["--postgres", database.url(role), "--postgres-password-file", file];
      await daemon.ok(["join", ...end, "--vip", vip, "--name", name]);
    };
  },
  silence: unplug,
  restore: replug,
};

/** Every carrier that there is. */
export const carrierKinds: readonly CarrierKind[] = [mesh, tcp, postgres];

/** Two hosts with a vpnd each. */
export async function makeEnds(lab: Lab): Promise<Ends> {
  const [a, b] = await Promise.all(
    [await lab.publicHost("a"), await lab.publicHost("b")].map((host) => vpnd(host)),
  );
  if (a === undefined || b === undefined) throw new Error("a link has two ends");
  return { a, b };
}
