/** Subnets and exit nodes over the log: what nodes offer each other, and who carries what. */
import type { AnnouncedPeer } from "../../core/carrier.js";
import type { SigningKey } from "../../core/keys/ed25519.js";
import type { Nodes } from "../../core/postgres/nodes.js";
import { PrefixTable } from "../../core/postgres/prefix-table.js";
import type { Announcement } from "../../core/routes/announcement.js";
import { LogAnnouncements, type LogPeer, type Say } from "./log-announcements.js";

export class LogRoutes {
  readonly #nodes: Nodes;
  readonly #announcements: LogAnnouncements;
  /** Prefixes by the key of the node that carries them. */
  #accepted: ReadonlyMap<string, readonly string[]> = new Map();
  /** What this node offers. */
  #offered = new PrefixTable<true>([]);

  /** @param network its name in the database @param onChange somebody offers something else */
  constructor(network: string, key: SigningKey, nodes: Nodes, onChange: () => void) {
    this.#nodes = nodes;
    this.#announcements = new LogAnnouncements(network, key, () => {
      this.#apply();
      onChange();
    });
  }

  /** @returns false when it is what was offered before */
  offer(what: Announcement): boolean {
    if (!this.#announcements.set(what)) return false;
    const { exit, routes } = what;
    const offered = [...routes, ...(exit.v4 ? ["0.0.0.0/0"] : []), ...(exit.v6 ? ["::/0"] : [])];
    this.#offered = new PrefixTable(offered.map((prefix) => [prefix, true] as const));
    return true;
  }

  /** Whether packets to an address come here. */
  offers(address: Uint8Array): boolean {
    return this.#offered.find(address) === true;
  }

  /** @param routes prefixes by the key of the node that carries them */
  accept(routes: ReadonlyMap<string, readonly string[]>): void {
    this.#accepted = routes;
    this.#apply();
  }

  /** What the others offer. */
  heard(): AnnouncedPeer[] {
    return this.#nodes.known().flatMap(({ id, virtualIp, name, up }) => {
      const heard = this.#announcements.heardOf(id);
      return heard === undefined ? [] : [{ virtualIp, ...(name !== "" && { name }), ...heard, up }];
    });
  }

  /** Says what is offered to who does not know it yet. @param session of this node */
  tell(session: bigint, say: Say): void {
    this.#announcements.tell(session, this.#nodes.living(), say);
  }

  hear(peer: LogPeer, message: Uint8Array, say: Say): void {
    this.#announcements.hear(peer, message, say);
  }

  stop(): void {
    this.#announcements.stop();
  }

  #apply(): void {
    const carriers = [...this.#accepted].flatMap(([nodeKey, prefixes]) => {
      const node = this.#announcements.nodeOf(nodeKey);
      return node === undefined ? [] : prefixes.map((prefix) => [prefix, node] as const);
    });
    this.#nodes.setRoutes(new PrefixTable(carriers));
  }
}
