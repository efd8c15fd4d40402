import { afterEach, beforeEach } from "node:test";
import { Bench, skip, until } from "./daemon.js";
import { type Said, vpnctlAs } from "./people.js";

export const serverAddress = "192.0.2.1:9944";

/** Two benches joined by a cable. */
export class Pair {
  readonly alpha = new Bench();
  readonly beta = new Bench();

  constructor() {
    const { alpha, beta } = this;
    alpha.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", beta.netns);
    for (const [bench, address] of [
      [alpha, "192.0.2.1/24"],
      [beta, "192.0.2.2/24"],
    ] as const) {
      bench.ip("addr", "add", address, "dev", "eth0");
      bench.ip("link", "set", "eth0", "up");
    }
  }

  /** A rendezvous server beside alpha. */
  async server(): Promise<void> {
    const [address = "", port = ""] = serverAddress.split(":");
    const args = [address, port];
    await this.alpha.start("test/integration/support/tiny-server.ts", args).said(/ready/);
  }

  async close(): Promise<void> {
    await this.alpha.close();
    await this.beta.close();
  }
}

/** A pair for each test of a file. */
export function pairs(): () => Pair {
  let pair: Pair | undefined;
  if (!skip) {
    beforeEach(() => {
      pair = new Pair();
    });
    afterEach(() => pair?.close());
  }
  return () => {
    if (pair === undefined) throw new Error("a pair is there during a test only");
    return pair;
  };
}

/** @throws Error with vpnctl's own words when it fails */
export async function ctl(bench: Bench, ...args: string[]): Promise<string> {
  const said = await vpnctlAs("root", bench, args);
  if (said.code !== 0) throw new Error(`vpnctl ${args.join(" ")}: exit ${said.code}: ${said.err}`);
  return said.out;
}

export function joinAs(bench: Bench, name: string, vip: string, psk: string): Promise<Said> {
  const where = ["--iex", serverAddress, "--vip", vip, "--psk-file", "-"];
  return vpnctlAs("root", bench, ["join", "home", ...where, "--name", name], { input: psk });
}

/** Waits until the output of a command matches. */
export async function saysLater(bench: Bench, pattern: RegExp, ...args: string[]): Promise<string> {
  let out = "";
  await until(
    async () => {
      out = await ctl(bench, ...args);
      return pattern.test(out);
    },
    `${args.join(" ")} to say ${pattern}`,
  );
  return out;
}
