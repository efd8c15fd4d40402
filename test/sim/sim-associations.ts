/** The handshakes and sessions of a simulated engine, and what they say to each other. */
import type { Assoc, Endpoint, EpochId, PeerId, Refusal, Role, Tag } from "../../src/daemon/core/engine.js";

/** `to` is the receiver's association, 0 before it is known. */
export type Message =
  | { kind: "client-hello"; from: Assoc; psk: string; foreign: boolean }
  | { kind: "server-hello"; from: Assoc; to: Assoc; foreign: boolean }
  | { kind: "alert"; to: Assoc }
  | { kind: "hello"; to: Assoc; nodeKey: Uint8Array; record: Uint8Array }
  | { kind: "ack"; to: Assoc }
  | { kind: "refuse"; to: Assoc; reason: Refusal }
  | { kind: "close"; to: Assoc; reason: number }
  | { kind: "ping" | "pong"; to: Assoc }
  | { kind: "control"; to: Assoc; data: Uint8Array }
  | { kind: "data"; to: Assoc; source: string; destination: string };

export type ClientHello = Extract<Message, { kind: "client-hello" }>;

export interface Association {
  id: Assoc;
  tag: Tag;
  role: Role;
  endpoint: Endpoint;
  remote: Assoc;
  foreign: boolean;
  epoch: EpochId;
  began: number;
  peer?: PeerId;
  acked: boolean;
  heard: boolean;
  up: boolean;
  /** The client hello that it answers. */
  answers?: string;
  cancel: () => void;
}

export class Associations {
  readonly #byId = new Map<Assoc, Association>();
  /** By client endpoint and its association, so that a repeated hello makes no second one. */
  readonly #answering = new Map<string, Association>();
  #lastId: Assoc;

  /** @param first numbers begin here */
  constructor(first: Assoc) {
    this.#lastId = first;
  }

  get size(): number {
    return this.#byId.size;
  }

  all(): Iterable<Association> {
    return this.#byId.values();
  }

  get(id: Assoc): Association | undefined {
    return this.#byId.get(id);
  }

  make(what: Pick<Association, "tag" | "role" | "endpoint" | "epoch" | "began">): Association {
    this.#lastId += 1;
    const fresh = { remote: 0, foreign: false, acked: false, heard: false, up: false, cancel: () => {} };
    const association: Association = { id: this.#lastId, ...what, ...fresh };
    this.#byId.set(association.id, association);
    return association;
  }

  /** Which one answers a client's hello already. */
  answering(from: Endpoint, hello: ClientHello): Association | undefined {
    return this.#answering.get(`${from} ${hello.from}`);
  }

  answer(association: Association, from: Endpoint, hello: ClientHello): void {
    association.remote = hello.from;
    association.foreign = hello.foreign;
    association.answers = `${from} ${hello.from}`;
    this.#answering.set(association.answers, association);
  }

  drop(association: Association): void {
    association.cancel();
    this.#byId.delete(association.id);
    if (association.answers !== undefined) this.#answering.delete(association.answers);
  }
}
