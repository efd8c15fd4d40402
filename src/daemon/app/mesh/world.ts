/** What a mesh takes from outside besides its engine; tests give it another one. */
import { randomBytes } from "node:crypto";
import type { Endpoint } from "../../core/engine.js";
import type { Subnet } from "../../core/mesh/address.js";
import type { Moment } from "../../core/mesh/types.js";
import { hostSubnets } from "../../io/host-subnets.js";
import { resolveServer } from "../../io/server-names.js";

export interface World {
  /** Never rejects. */
  resolve(server: string): Promise<Endpoint[]>;
  subnets(): Subnet[];
  moment(): Moment;
  random(): number;
  randomBytes(size: number): Uint8Array;
}

export const realWorld: World = {
  resolve: resolveServer,
  subnets: hostSubnets,
  moment: () => ({ now: performance.now(), wall: Date.now() }),
  random: Math.random,
  randomBytes: (size) => new Uint8Array(randomBytes(size)),
};
