/** How two hosts join a network by each carrier, and how its far end is cut off: what the contract suite is run over. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "./command.js";
import type { Host, Lab } from "./lab.js";
import { Database } from "./postgres.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "./programs.js";

export interface Ends {
  a: Daemon;
  b: Daemon;
}

export const inner: Inner = { a: "10.60.0.1", b: "10.60.0.2" };

/** Addresses inside the tunnel. */
export interface Inner {
  a: string;
  b: string;
}

/** One end, asked about the other one. */
export interface End {
  /** Waits until the other one is connected. */
  up(deadlineMs: number): Promise<{ path: string }>;
  /** Waits until this end says that the other one is gone, and why. */
  gone(deadlineMs: number): Promise<void>;
  network(): Promise<{ carrier: string; state: string; mtu: number }>;
  leave(): Promise<void>;
}

export interface CarrierKind {
  /** As `vpnctl network` calls it. */
  name: string;
  /** Of a peer that is up. */
  path: string;
  /** Where the carrier itself decides them. */
  inner?: Inner;
  /** Of a carrier whose `b` is no member of a network. */
  far?: (b: Daemon) => End;
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

const gatewayPort = "8080";

/** What a gateway says of its only client. */
function gatewayEnd(b: Daemon): End {
  interface Document {
    state: string;
    clients?: { device: string; state: string }[];
  }
  const document = (): Promise<Document> => b.json<Document>(["gateway", "clients"]);
  const until = (state: string, deadlineMs: number): Promise<true> => {
    let last: Document | undefined;
    return waitFor(
      async () => {
        last = await document();
        return last.clients?.[0]?.state === state || undefined;
      },
      deadlineMs,
      `the gateway's client is ${state}`,
      () => last,
    );
  };
  return {
    async up(deadlineMs) {
      await until("up", deadlineMs);
      return { path: "gateway" };
    },
    gone: async (deadlineMs) => void (await until("away", deadlineMs)),
    async network() {
      const { state, clients = [] } = await document();
      const [, mtu] = /mtu (\d+)/.exec(await b.host.ip("link", "show", clients[0]?.device ?? "")) ?? [];
      return { carrier: "gateway", state, mtu: Number(mtu) };
    },
    leave: async () => void (await b.ok(["gateway", "stop"])),
  };
}

/** `a` is a client of the gateway `b`. */
const gateway: CarrierKind = {
  name: "gateway",
  path: "gateway",
  inner: { a: "10.60.0.2", b: "10.60.0.1" },
  far: gatewayEnd,
  async prepare(_lab, { a, b }) {
    const { token } = await b.json<{ token: string }>(["gateway", "user", "add", "a"]);
    return async (daemon) => {
      if (daemon === a) {
        const end = ["--gateway", `ws://${b.host.address}:${gatewayPort}/`];
        // It waits for the gateway, which comes later.
        await a.ok(["join", ...end, "--token-file", keyFile(a.host, "token", token), "--no-wait"]);
        return;
      }
      const where = ["--listen", `0.0.0.0:${gatewayPort}`, "--subnet", "10.60.0.0/24"];
      await b.ok(["gateway", "start", ...where, "--allow-host"]);
    };
  },
  silence: unplug,
  restore: replug,
};

/** Every carrier that there is. */
export const carrierKinds: readonly CarrierKind[] = [mesh, tcp, postgres, gateway];

/** Two hosts with a vpnd each. */
export async function makeEnds(lab: Lab): Promise<Ends> {
  const [a, b] = await Promise.all(
    [await lab.publicHost("a"), await lab.publicHost("b")].map((host) => vpnd(host)),
  );
  if (a === undefined || b === undefined) throw new Error("a link has two ends");
  return { a, b };
}
