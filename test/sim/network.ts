/** A simulated internet: hosts, NATs, loss and delay. */
import { formatEndpoint, type HostPort, parseEndpoint } from "../../src/common/endpoint.js";
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
  /** As if it had been sent and had arrived at once: cheap, for what is sent by the million. False when it was lost. */
  sendNow(to: Endpoint, payload: Payload): boolean;
  close(): void;
}

interface Bound {
  /** Inside its NAT. */
  endpoint: Endpoint;
  nat: Nat | undefined;
  receive: (from: Endpoint, payload: Payload) => void;
}

/** A datagram under way. */
interface Way {
  /** Its source as the receiver sees it. */
  from: Endpoint;
  to: Endpoint;
  /** The receiver, where both are behind one NAT. */
  beside?: Bound;
}

export interface NetworkOptions {
  /** Share of datagrams lost. */
  loss: number;
  minDelayMs: number;
  maxDelayMs: number;
}

/** Real NATs forget by time; for the others that one mapping talks with this comes to the same. */
const maxAllowed = 512;

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
    const allowed = this.#in.get(port)?.allowed;
    allowed?.delete(to);
    allowed?.add(to);
    if (allowed !== undefined && allowed.size > maxAllowed) {
      for (const longestUnused of allowed) {
        allowed.delete(longestUnused);
        break;
      }
    }
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
  readonly #known = new Map<Endpoint, HostPort>();
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
    const endpoint = formatEndpoint(host, port);
    const bound: Bound = { endpoint, nat, receive };
    const key = socketKey(nat, endpoint);
    if (this.#sockets.has(key)) throw new Error(`${key} is in use`);
    this.#sockets.set(key, bound);
    return {
      host,
      port,
      send: (to, payload) => this.#send(bound, to, payload),
      sendNow: (to, payload) => {
        const way = this.#way(bound, to, payload);
        const target = way && this.#arrive(way);
        if (way !== undefined) target?.receive(way.from, payload);
        return target !== undefined;
      },
      close: () => this.#sockets.delete(key),
    };
  }

  #send(sender: Bound, to: Endpoint, payload: Payload): void {
    const way = this.#way(sender, to, payload);
    if (way === undefined) return;
    const { minDelayMs, maxDelayMs } = this.options;
    const delay = minDelayMs + this.#random() * (maxDelayMs - minDelayMs);
    this.#clock.after(delay, () => this.#arrive(way)?.receive(way.from, payload));
  }

  /** Sends it as far as the receiver's NAT. Undefined: lost on the way. */
  #way(sender: Bound, to: Endpoint, payload: Payload): Way | undefined {
    const beside = sender.nat && this.#sockets.get(socketKey(sender.nat, to));
    if (beside !== undefined) return { from: sender.endpoint, to, beside };
    if (sender.nat?.kind === "blocked") return undefined;
    const from = sender.nat === undefined ? sender.endpoint : sender.nat.outward(sender.endpoint, to);
    this.watch(from, to, payload);
    const target = this.#parsed(to);
    const source = this.#parsed(from);
    if (target === undefined || source === undefined) return undefined;
    if (this.cut(source.address, target.address) || this.#random() < this.options.loss) return undefined;
    return { from, to };
  }

  /** Who gets it, if anybody is there now and its NAT lets it in. */
  #arrive({ from, to, beside }: Way): Bound | undefined {
    if (beside !== undefined) return beside;
    const target = this.#parsed(to);
    const nat = target && this.#nats.get(target.address);
    if (target === undefined || nat === undefined) return this.#sockets.get(socketKey(undefined, to));
    const into = nat.inward(from, target.port);
    return into === undefined ? undefined : this.#sockets.get(socketKey(nat, into));
  }

  #parsed(endpoint: Endpoint): HostPort | undefined {
    const known = this.#known.get(endpoint);
    if (known !== undefined) return known;
    const parsed = parseEndpoint(endpoint);
    if (this.#known.size > 2000) this.#known.clear();
    if (parsed !== undefined) this.#known.set(endpoint, parsed);
    return parsed;
  }
}

/** Addresses behind different NATs may be equal. */
function socketKey(nat: Nat | undefined, endpoint: Endpoint): string {
  return `${nat?.address ?? ""} ${endpoint}`;
}
