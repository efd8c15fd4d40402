/** A whole simulated mesh, and the frame of its tests. */
import { test } from "node:test";
import { Clock, randomFrom } from "./clock.js";
import { type NatKind, Network } from "./network.js";
import { type NodeOptions, SimNode } from "./node.js";
import { SimServer } from "./server.js";

export class Simulation {
  readonly clock = new Clock();
  readonly random: () => number;
  readonly network: Network;
  readonly server: SimServer;
  readonly nodes: SimNode[] = [];
  #sites = 0;

  constructor(seed: number) {
    this.random = randomFrom(seed);
    this.network = new Network(this.clock, this.random);
    this.server = new SimServer(this.clock, this.network, "192.0.2.1");
  }

  /** A place of its own on the internet: a public host, or a host in a private subnet behind a NAT. */
  site(kind: NatKind): Pick<NodeOptions, "host" | "nat"> {
    this.#sites += 1;
    const address = `203.0.113.${this.#sites}`;
    // All private sites use the same subnet, as homes do.
    return kind === "open"
      ? { host: address }
      : { host: "192.168.1.10", nat: this.network.nat(kind, address) };
  }

  /** A started node. */
  node(virtualIp: string, options: Partial<NodeOptions> = {}): SimNode {
    const place = options.host === undefined ? this.site("port-restricted") : {};
    const name = `n${virtualIp.replaceAll(".", "-")}`;
    const servers = [this.server.endpoint];
    const merged = { name, virtualIp, host: "", servers, ...place, ...options };
    const node = new SimNode(this.clock, this.network, this.random, merged);
    this.nodes.push(node);
    return node.start();
  }

  /** Whether every running node has a tunnel to every other one. */
  meshed(nodes = this.nodes): boolean {
    const running = nodes.filter((node) => node.running);
    return running.every((node) =>
      running.every((other) => other === node || node.isUp(other.options.virtualIp)),
    );
  }

  /** Whether an inner packet gets from one node to the other now. */
  talks(from: SimNode, to: SimNode): boolean {
    const before = to.heard(from.options.virtualIp);
    if (!from.sendTo(to.options.virtualIp)) return false;
    return this.clock.runUntil(() => to.heard(from.options.virtualIp) > before, 1000);
  }

  until(condition: () => boolean, ms: number): boolean {
    return this.clock.runUntil(condition, ms);
  }
}

/**
 * A test on one or more seeds, each named so that a failing one can be repeated. SIM_SEED runs a single one.
 */
export function simTest(
  name: string,
  seeds: number,
  run: (simulation: Simulation) => void | Promise<void>,
): void {
  const chosen = process.env.SIM_SEED;
  const list = chosen === undefined ? Array.from({ length: seeds }, (_, i) => i + 1) : [Number(chosen)];
  test(name, async () => {
    for (const seed of list) {
      try {
        await run(new Simulation(seed));
      } catch (error) {
        throw new Error(`seed ${seed} (repeat with SIM_SEED=${seed}): ${String(error)}`, { cause: error });
      }
    }
  });
}
