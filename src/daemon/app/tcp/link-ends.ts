/** Which connection has a link. Who has the key may take the place of a dead one, if it shows that it is the same end. */
import type { Reason } from "../../core/carrier.js";
import type { SigningKey } from "../../core/keys/ed25519.js";
import type { LinkHello } from "../../core/tcp/hello.js";
import { Connection, type ConnectionEvents } from "../../io/tcp/connection.js";
import type { Candidate } from "./link-way.js";

/** A candidate that became the link's. */
export interface Living extends Candidate {
  connection: Connection;
}

/** Of the connection that has the link, and of no other. */
export interface LinkEndEvents extends Omit<ConnectionEvents, "onEnd"> {
  /** It has the link from here on. */
  onUse(living: Living): void;
  /** It is over, and the link is free. */
  onLost(living: Living, reason: Reason): void;
  /** Somebody else who has the key was turned away. */
  onThird(): void;
}

export interface LinkEndsOptions {
  /** What this end says at the beginning of a connection. */
  hello: () => LinkHello;
  key: SigningKey;
  /** How often the other end is asked for a sign of life, and how long it may be silent, milliseconds. */
  pingMs: number;
  deadMs: number;
  /** Node key of the end that the link has, or had last. */
  nodeKey: () => string | undefined;
  events: LinkEndEvents;
}

/** Who has the key has so long to show who it is, milliseconds. */
const showMs = 5_000;

export class LinkEnds {
  readonly #options: LinkEndsOptions;
  #living: Living | undefined;
  /** Has the key, but has not shown yet that it is the end that the link has already. */
  #waiting: Living | undefined;
  #freed: () => void = () => {};

  constructor(options: LinkEndsOptions) {
    this.#options = options;
  }

  get living(): Living | undefined {
    return this.#living;
  }

  /** Resolves when the link is free again, or the candidate has to wait for a decision. */
  async take(candidate: Candidate): Promise<void> {
    if (this.#living !== undefined) {
      this.#hear(candidate);
      return;
    }
    const freed = new Promise<void>((resolve) => {
      this.#freed = resolve;
    });
    this.#use(this.#connect(candidate));
    await freed;
  }

  /** The connection is over, if there is one. */
  end(reason: Reason): void {
    const living = this.#living;
    if (living === undefined) return;
    this.#living = undefined;
    living.connection.close();
    this.#options.events.onLost(living, reason);
    this.#freed();
  }

  /** Nobody has the link any more, or waits for it. */
  close(reason: Reason): void {
    this.#waiting?.connection.close();
    this.#waiting = undefined;
    this.end(reason);
  }

  /** Lets who has the key show that it is the link's other end, whose old connection is dead. */
  #hear(candidate: Candidate): void {
    this.#waiting?.connection.close();
    const waiting = this.#connect(candidate);
    this.#waiting = waiting;
    const giveUp = (): void => {
      if (this.#waiting !== waiting) return;
      this.#waiting = undefined;
      waiting.connection.close();
    };
    setTimeout(giveUp, showMs).unref();
  }

  #connect(candidate: Candidate): Living {
    const { hello, key, pingMs, deadMs, events } = this.#options;
    const isLiving = (): boolean => this.#living?.connection === connection;
    const connection: Connection = new Connection(candidate.stream, {
      hello: hello(),
      key,
      binding: candidate.binding,
      pingMs,
      deadMs,
      events: {
        onItems: (items, data, ends) => {
          if (isLiving()) events.onItems(items, data, ends);
        },
        onPeer: (peer) => {
          if (isLiving()) events.onPeer(peer);
        },
        onIdentity: (nodeKey) =>
          isLiving() ? events.onIdentity(nodeKey) : this.#decide(connection, nodeKey),
        onControl: (data) => {
          if (isLiving()) events.onControl(data);
        },
        onDrain: () => {
          if (isLiving()) events.onDrain();
        },
        onEnd: (reason) => {
          if (isLiving()) this.end(reason);
          else if (this.#waiting?.connection === connection) this.#waiting = undefined;
        },
      },
    });
    return { ...candidate, connection };
  }

  /** Somebody with the key, while there is another end: that one again, or a third. */
  #decide(connection: Connection, nodeKey: string): void {
    const waiting = this.#waiting;
    if (waiting?.connection !== connection) return;
    this.#waiting = undefined;
    const { events } = this.#options;
    if (nodeKey !== this.#options.nodeKey() && this.#living !== undefined) {
      events.onThird();
      connection.refuse();
      return;
    }
    this.end({ code: "replaced", message: "the other end connected again" });
    this.#use(waiting);
    if (connection.peer !== undefined) events.onPeer(connection.peer);
    events.onIdentity(nodeKey);
  }

  #use(living: Living): void {
    this.#living = living;
    this.#options.events.onUse(living);
  }
}
