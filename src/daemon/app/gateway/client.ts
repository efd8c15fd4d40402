/** A client of a gateway, here or away. */
import type { AddressPlan } from "../../core/gateway/addresses.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import type { Measured } from "./station-calls.js";

export interface Client {
  readonly id: number;
  readonly slot: number;
  /** Empty: it came without a token. */
  readonly user: string;
  /** What it calls itself; empty: nothing. */
  readonly name: string;
  readonly remote: string;
  /** It speaks another protocol than ours. */
  readonly foreign: boolean;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Number of the station that has its connection and device. */
  readonly station: number;
  state: "up" | "away";
  /** What it moves counts against the user's quota. */
  metered?: { user: GatewayUser; counted: number };
}

export interface ClientView extends Omit<Client, "slot" | "station" | "metered"> {
  device: string;
  /** CIDR. */
  addresses: string[];
  rttSeconds?: number;
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  drops: Readonly<Record<string, number>>;
  /** What it sends as, where it may keep an address of its own; empty: not known. */
  learned: readonly string[];
}

const nothing = {
  rxBytes: 0,
  txBytes: 0,
  rxPackets: 0,
  txPackets: 0,
  drops: {},
  passedBytes: 0,
  learned: [],
};

/** @param device its name @param measured absent: nothing is known of its packets */
export function viewOf(
  { slot, station, metered, ...client }: Client,
  plan: AddressPlan,
  device: string,
  measured: Measured | undefined,
): ClientView {
  const { counters = nothing, rttSeconds } = measured ?? {};
  const { passedBytes, ...shown } = counters;
  return {
    ...client,
    ...shown,
    device,
    addresses: plan.at(slot).client,
    ...(client.state === "up" && rttSeconds !== undefined && { rttSeconds }),
  };
}
