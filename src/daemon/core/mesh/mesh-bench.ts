/** A mesh core in a test's hands, and what comes to it from outside. */
import { encodeMap } from "../../../common/badger/map.js";
import type { EngineEvent } from "../engine.js";
import { signingKey } from "../keys/ed25519.js";
import { buildNodeRecord } from "../keys/node-record.js";
import { networkKeys } from "../keys/schedule.js";
import { badgerCodec } from "./badger-codec.js";
import { MeshCore } from "./mesh-core.js";
import type { MeshConfig, MeshEffect, MeshInput } from "./types.js";

export const server = "192.0.2.1:9944";
export const keys = networkKeys(new Uint8Array(32), false);
export const ourselves = signingKey(new Uint8Array(32).fill(1));
export const us = "10.0.0.10";
export const ourEndpoint = "198.51.100.1:4400";

/** A core in the reader's hands: time moves only by `at`. */
export class Bench {
  readonly core: MeshCore;
  now = 0;

  constructor(change: Partial<MeshConfig> = {}) {
    const config = {
      badger: false,
      virtualIp: us,
      prefixLength: 16,
      nodeKey: ourselves.publicKey,
      epochs: [{ id: 1, keys }],
      servers: ["iex.example:9944"],
      port: 4400,
      pins: [],
      ownEndpoints: [],
      ...change,
    };
    this.core = new MeshCore(config, badgerCodec, () => 0.5, { now: 0, wall: 0 });
  }

  give(input: MeshInput): MeshEffect[] {
    return this.core.handle(input, { now: this.now, wall: 1000 + this.now });
  }

  tick(now: number): MeshEffect[] {
    this.now = now;
    return this.give({ type: "tick" });
  }

  /** Ticks whenever the core wants to, up to a time. */
  runTo(now: number): MeshEffect[] {
    const effects: MeshEffect[] = [];
    for (let i = 0; this.core.wakeAt() <= now; i++) {
      if (i >= 1000) throw new Error("the core wants to be woken too often");
      effects.push(...this.tick(Math.max(this.now, this.core.wakeAt())));
    }
    effects.push(...this.tick(now));
    return effects;
  }

  event(event: EngineEvent): MeshEffect[] {
    return this.give({ type: "engine", event });
  }

  map(nodes: [string, string][], from = server): MeshEffect[] {
    const all: [string, string][] = [[us, ourEndpoint], ...nodes];
    const data = encodeMap(
      all.map(([virtualIp, publicIp]) => ({ virtualIp, publicIp })),
      0,
    );
    return this.event({ type: "datagram", from, data });
  }

  /** A started core whose server has answered. */
  static ready(nodes: [string, string][] = [], change: Partial<MeshConfig> = {}): Bench {
    const bench = new Bench(change);
    bench.give({ type: "start" });
    bench.give({ type: "resolved", server: "iex.example:9944", endpoints: [server] });
    bench.map(nodes);
    return bench;
  }
}

export function record(
  virtualIps: string[],
  fill: number,
  name = "beta",
): { nodeKey: Uint8Array; record: Uint8Array } {
  const key = signingKey(new Uint8Array(32).fill(fill));
  const draft = { virtualIps, name, sequence: 1n, ttlSeconds: 60 };
  return { nodeKey: key.publicKey, record: buildNodeRecord(draft, key, keys, new Uint8Array(12)) };
}

export function hello(from: string, tag: number, who: ReturnType<typeof record>, assoc = 50): EngineEvent {
  const role = tag === 0 ? "server" : "client";
  return { type: "hello", assoc, tag, role, endpoint: from, capabilities: 0, epoch: 1, ...who };
}

export function up(peer: number, from: string, tag: number, assoc = 50): EngineEvent {
  const role = tag === 0 ? "server" : "client";
  const session = { endpoint: from, cipher: "x", epoch: 1, foreign: false, rekey: false };
  return { type: "up", peer, assoc, tag, role, ...session };
}

export const of = <T extends MeshEffect["type"]>(effects: MeshEffect[], type: T) =>
  effects.filter((effect): effect is Extract<MeshEffect, { type: T }> => effect.type === type);
export const sentTo = (effects: MeshEffect[]) => of(effects, "send").map((effect) => effect.to);
export const dialled = (effects: MeshEffect[]) => of(effects, "connect").map((effect) => effect.to);
