/** The other nodes of a network in the database: who they are, whether they are there, and how far their sessions were read. */
import type { CarrierEvent, PeerState, PeerView, Reason } from "../carrier.js";
import { peerEvents } from "../events/peer-events.js";
import { parseCidr } from "../network/cidr.js";
import type { Opening, Openings, SessionMark } from "./openings.js";
import { PrefixTable } from "./prefix-table.js";

/** A row of `vpnd.others`. */
export interface OtherRow extends SessionMark {
  node: number;
  address: string;
  name: string;
  /** Absent: it has none. */
  session?: bigint;
  /** Seconds since its last sign of life. */
  age: number;
  /** It has ended; it may still hold packets. */
  over: boolean;
  durable: boolean;
  /** Number of its last packet for this node. */
  head: bigint;
}

export interface Cursor {
  session: bigint;
  sender: number;
  /** Number of the last packet that was read. */
  behind: bigint;
  opening: Opening;
  /** The session was there before this node: what is in it from then was never to be delivered. */
  readonly older: boolean;
  /** When it was last asked for packets and had no more, monotonic milliseconds; 0: never. */
  caughtUpAt: number;
  /** What `opening` was found with. */
  openings: Openings;
}

interface Node {
  id: number;
  address: string;
  addressBytes: Uint8Array;
  name: string;
  /** Its newest one that lives. */
  session: bigint | undefined;
  alive: boolean;
  /** Its last session has ended, rather than fallen silent. */
  over: boolean;
  durable: boolean;
  /** Why nothing of it can be read. */
  refusal: Reason | undefined;
  since: number;
  seenAt: number | undefined;
  rttSeconds: number | undefined;
  traffic: Traffic;
}

type Traffic = Pick<PeerView, "rxBytes" | "txBytes" | "rxPackets" | "txPackets">;

/** Silent for so long, seconds: it is gone. Signs of life come every 5 s. */
const deadAfter = 16;

function absence({ over }: Node): Reason {
  return over
    ? { code: "stopped", message: "it has left the database" }
    : { code: "silent", message: `no sign of life for ${deadAfter} s` };
}

/** Fit for a map: equal addresses are equal. */
export const addressKey = (address: Uint8Array): string => Buffer.from(address).toString("latin1");

export class Nodes {
  readonly #nodes = new Map<number, Node>();
  readonly #byAddress = new Map<string, Node>();
  readonly #cursors = new Map<bigint, Cursor>();
  /** A reader that begins leaves out what was for the one before it. */
  #begun = false;
  #routes = new PrefixTable<number>([]);
  #fault: Reason | undefined = { code: "connecting", message: "not connected yet" };

  /**
   * Takes over what the database says.
   * @param openings the same ones as before, unless the PSKs have changed
   * @param now milliseconds since 1970
   * @returns sessions that have something to read, and what happened to peers
   */
  update(
    rows: readonly OtherRow[],
    openings: Openings,
    now: number,
  ): { unread: Cursor[]; events: CarrierEvent[] } {
    const events: CarrierEvent[] = [];
    const unread: Cursor[] = [];
    const sessions = new Set<bigint>();
    const byNode = new Map<number, OtherRow[]>();
    for (const row of rows) {
      byNode.set(row.node, [...(byNode.get(row.node) ?? []), row]);
      if (row.session === undefined) continue;
      sessions.add(row.session);
      const cursor = this.#cursorOf(row, row.session, openings);
      if (row.head > cursor.behind) unread.push(cursor);
    }
    this.#begun = true;
    for (const [id, of] of byNode) events.push(...this.#updateNode(id, of, now));
    for (const id of this.#nodes.keys()) if (!byNode.has(id)) this.#forget(id);
    for (const session of this.#cursors.keys()) if (!sessions.has(session)) this.#cursors.delete(session);
    return { unread, events };
  }

  /** The database is reached no more, or again. @param fault why not */
  reached(fault: Reason | undefined, now: number): CarrierEvent[] {
    const events: CarrierEvent[] = [];
    for (const node of this.#nodes.values()) {
      const before = this.#snapshot(node);
      this.#fault = fault;
      const after = this.#snapshot(node);
      if (before.state !== after.state) node.since = now;
      this.#fault = before.fault;
      events.push(...peerEvents(before, after));
    }
    this.#fault = fault;
    return events;
  }

  cursors(): Iterable<Cursor> {
    return this.#cursors.values();
  }

  cursor(session: bigint): Cursor | undefined {
    return this.#cursors.get(session);
  }

  /** Who has an address, or carries packets to it. */
  at(address: Uint8Array): { id: number } | undefined {
    const node = this.#byAddress.get(addressKey(address));
    if (node !== undefined) return node;
    const carrier = this.#routes.find(address);
    return carrier === undefined ? undefined : this.#nodes.get(carrier);
  }

  /** Whether a node may send from an address. */
  maySend(id: number, source: Uint8Array): boolean {
    const own = this.#nodes.get(id)?.addressBytes;
    if (own === undefined) return false;
    return Buffer.compare(own, source) === 0 || this.#routes.has(source, id);
  }

  /** Who carries which prefixes besides its own address. */
  setRoutes(routes: PrefixTable<number>): void {
    this.#routes = routes;
  }

  /** Those that are there, by their newest session. */
  living(): { node: number; session: bigint }[] {
    return [...this.#nodes.values()].flatMap(({ id, alive, session }) =>
      alive && session !== undefined ? [{ node: id, session }] : [],
    );
  }

  /** What is known of each: for what it announced. */
  known(): { id: number; virtualIp: string; name: string; up: boolean }[] {
    return [...this.#nodes.values()].map((node) => {
      const up = this.#stateOf(node) === "up";
      return { id: node.id, virtualIp: node.address, name: node.name, up };
    });
  }

  idOf(virtualIp: string): number | undefined {
    for (const node of this.#nodes.values()) if (node.address === virtualIp) return node.id;
    return undefined;
  }

  received(id: number, bytes: number, packets: number): void {
    const traffic = this.#nodes.get(id)?.traffic;
    if (traffic === undefined) return;
    traffic.rxBytes += bytes;
    traffic.rxPackets += packets;
  }

  sent(id: number, bytes: number, packets: number): void {
    const traffic = this.#nodes.get(id)?.traffic;
    if (traffic === undefined) return;
    traffic.txBytes += bytes;
    traffic.txPackets += packets;
  }

  measured(id: number, rttSeconds: number): void {
    const node = this.#nodes.get(id);
    if (node !== undefined) node.rttSeconds = rttSeconds;
  }

  /** Names of those that are there and let packets be delivered before they are durable. */
  fast(): string[] {
    return [...this.#nodes.values()]
      .filter(({ alive, durable }) => alive && !durable)
      .map(({ name, address }) => name || address);
  }

  views(mtu: number, endpoint: string | undefined): PeerView[] {
    return [...this.#nodes.values()].map((node) => {
      const { fault: _, ...snapshot } = this.#snapshot(node);
      const up = snapshot.state === "up";
      return {
        ...snapshot,
        ...node.traffic,
        foreign: false,
        since: node.since,
        endpoints: [],
        ...(up && { mtu }),
        ...(up && endpoint !== undefined && { endpoint }),
        ...(up && node.rttSeconds !== undefined && { rttSeconds: node.rttSeconds }),
        ...(node.seenAt !== undefined && { lastHandshake: node.seenAt }),
      };
    });
  }

  #cursorOf(row: OtherRow, session: bigint, openings: Openings): Cursor {
    let cursor = this.#cursors.get(session);
    if (cursor === undefined) {
      const older = !this.#begun;
      const behind = older ? row.head : 0n;
      const opening = openings.of(row);
      cursor = { session, sender: row.node, behind, older, caughtUpAt: 0, opening, openings };
      this.#cursors.set(session, cursor);
    } else if (cursor.openings !== openings) {
      cursor.opening = openings.of(row);
      cursor.openings = openings;
    }
    return cursor;
  }

  #updateNode(id: number, rows: readonly OtherRow[], now: number): CarrierEvent[] {
    const newest = rows.at(-1);
    if (newest === undefined) return [];
    const { address, name } = newest;
    const living = rows.filter((row) => row.session !== undefined && !row.over && row.age < deadAfter);
    const addressBytes = Uint8Array.from(
      parseCidr(`${address}/${address.includes(":") ? 128 : 32}`)?.bytes ?? [],
    );
    const known = this.#nodes.get(id);
    const node = known ?? {
      id,
      address,
      addressBytes,
      name,
      session: undefined,
      alive: false,
      over: true,
      durable: true,
      refusal: undefined,
      since: now,
      seenAt: undefined,
      rttSeconds: undefined,
      traffic: { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0 },
    };
    if (known === undefined) {
      this.#nodes.set(id, node);
      this.#byAddress.set(addressKey(addressBytes), node);
    }
    const before = this.#snapshot(node);
    node.name = name;
    node.alive = living.length > 0;
    node.session = living.at(-1)?.session;
    node.over = newest.session === undefined || newest.over;
    node.durable = living.every(({ durable }) => durable);
    node.refusal = this.#refusalOf(living.at(-1));
    if (newest.session !== undefined) node.seenAt = now - newest.age * 1000;
    const after = this.#snapshot(node);
    if (before.state !== after.state) node.since = now;
    return peerEvents(before, after);
  }

  #refusalOf(row: OtherRow | undefined): Reason | undefined {
    const opening = row?.session === undefined ? undefined : this.#cursors.get(row.session)?.opening;
    return opening?.kind === "refused" ? opening.reason : undefined;
  }

  #forget(id: number): void {
    const node = this.#nodes.get(id);
    this.#nodes.delete(id);
    if (node !== undefined) this.#byAddress.delete(addressKey(node.addressBytes));
  }

  #snapshot(node: Node) {
    const state = this.#stateOf(node);
    const reasons = { up: undefined, connecting: this.#fault, offline: absence(node), refused: node.refusal };
    const reason = reasons[state];
    return {
      virtualIp: node.address,
      ...(node.name !== "" && { name: node.name }),
      state,
      path: state === "up" ? ("postgres" as const) : ("none" as const),
      ...(reason !== undefined && { reason }),
      fault: this.#fault,
    };
  }

  #stateOf({ alive, refusal }: Node): Exclude<PeerState, "idle"> {
    if (!alive) return "offline";
    if (this.#fault !== undefined) return "connecting";
    return refusal === undefined ? "up" : "refused";
  }
}
