/** A simulated internet: hosts, NATs, loss and delay. */
import { formatEndpoint, parseEndpoint } from "../../src/common/endpoint.js";
import type { Endpoint } from "../../src/daemon/core/engine.js";
import type { Clock } from "./clock.js";

/**
 * `open`: no NAT. `full-cone`: one mapping, everybody may answer. `port-restricted`: one mapping, only who was sent to may
 * answer. `symmetric`: a mapping for each destination. `blocked`: no UDP at all.
 */
export type NatKind = "open" | "full-cone" | "port-restricted" | "symmetric" | "blocked";

export type Payload = Uint8Array | { readonly kind: string };

export interface Socket {
  readonly host: string;
  readonly port: number;
  send(to: Endpoint, payload: Payload): void;
  close(): void;
}

interface Bound {
  host: string;
  port: number;
  nat: Nat | undefined;
  receive: (from: Endpoint, payload: Payload) => void;
}

export interface NetworkOptions {
  /** Share of datagrams lost. */
  loss: number;
  minDelayMs: number;
  maxDelayMs: number;
}

export class Nat {
  readonly kind: NatKind;
  readonly address: string;
  /** Inside endpoint (and destination, when symmetric) -> outside port. */
  readonly #out = new Map<string, number>();
  readonly #in = new Map<number, { inside: Endpoint; allowed: Set<Endpoint> }>();
  #nextPort = 20_000;

  constructor(kind: NatKind, address: string) {
    this.kind = kind;
    this.address = address;
  }

  /** Outside endpoint of a datagram on its way out. */
  outward(inside: Endpoint, to: Endpoint): Endpoint {
    const key = this.kind === "symmetric" ? `${inside} ${to}` : inside;
    let port = this.#out.get(key);
    if (port === undefined) {
      port = this.#nextPort++;
      this.#out.set(key, port);
      this.#in.set(port, { inside, allowed: new Set() });
    }
    this.#in.get(port)?.allowed.add(to);
    return formatEndpoint(this.address, port);
  }

  /** Where a datagram from outside goes; undefined: dropped. */
  inward(from: Endpoint, port: number): Endpoint | undefined {
    const mapping = this.#in.get(port);
    if (mapping === undefined) return undefined;
    return this.kind === "full-cone" || mapping.allowed.has(from) ? mapping.inside : undefined;
  }

  /** As after a reboot of the router. */
  forget(): void {
    this.#out.clear();
    this.#in.clear();
  }
}

export class Network {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #sockets = new Map<string, Bound>();
  readonly #nats = new Map<string, Nat>();
  options: NetworkOptions = { loss: 0, minDelayMs: 5, maxDelayMs: 30 };
  /** Datagrams from one public address to another that match are lost: a cut cable. */
  cut: (from: string, to: string) => boolean = () => false;
  /** Sees every datagram as it is sent, with its outside endpoints. */
  watch: (from: Endpoint, to: Endpoint, payload: Payload) => void = () => {};

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  nat(kind: NatKind, address: string): Nat | undefined {
    if (kind === "open") return undefined;
    const nat = new Nat(kind, address);
    this.#nats.set(address, nat);
    return nat;
  }

  bind(host: string, port: number, nat: Nat | undefined, receive: Bound["receive"]): Socket {
    const bound: Bound = { host, port, nat, receive };
    const key = socketKey(nat, formatEndpoint(host, port));
    if (this.#sockets.has(key)) throw new Error(`${key} is in use`);
    this.#sockets.set(key, bound);
    return {
      host,
      port,
      send: (to, payload) => this.#send(bound, to, payload),
      close: () => this.#sockets.delete(key),
    };
  }

  #send(sender: Bound, to: Endpoint, payload: Payload): void {
    const inside = formatEndpoint(sender.host, sender.port);
    const beside = sender.nat && this.#sockets.get(socketKey(sender.nat, to));
    if (beside !== undefined) {
      this.#deliver(inside, () => beside, payload);
      return;
    }
    if (sender.nat?.kind === "blocked") return;
    const from = sender.nat === undefined ? inside : sender.nat.outward(inside, to);
    this.watch(from, to, payload);
    const target = parseEndpoint(to);
    const source = parseEndpoint(from);
    if (target === undefined || source === undefined || this.cut(source.address, target.address)) return;
    if (this.#random() < this.options.loss) return;
    const find = () => {
      const nat = this.#nats.get(target.address);
      if (nat === undefined) return this.#sockets.get(socketKey(undefined, to));
      const into = nat.inward(from, target.port);
      return into === undefined ? undefined : this.#sockets.get(socketKey(nat, into));
    };
    this.#deliver(from, find, payload);
  }

  #deliver(from: Endpoint, find: () => Bound | undefined, payload: Payload): void {
    const { minDelayMs, maxDelayMs } = this.options;
    const delay = minDelayMs + this.#random() * (maxDelayMs - minDelayMs);
    this.#clock.after(delay, () => find()?.receive(from, payload));
  }
}

/** Addresses behind different NATs may be equal. */
function socketKey(nat: Nat | undefined, endpoint: Endpoint): string {
  return `${nat?.address ?? ""} ${endpoint}`;
}
