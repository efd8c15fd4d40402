/** One living TCP connection of a link: frames both ways, who the other end is, and whether it still is. */
import type { Duplex } from "node:stream";
import {
  encodeClassic,
  encodeControl,
  encodeItems,
  FrameReader,
  type Framing,
  kinds,
  roomFor,
} from "../../../common/frames.js";
import type { SigningKey } from "../../core/keys/ed25519.js";
import type { PacketBatch, PortItems } from "../../core/packet-port.js";
import { encodeLinkControl, parseLinkControl, takenControl } from "../../core/tcp/control.js";
import { encodeAck, encodeHello, isAck, isTaken, type LinkHello, parseHello } from "../../core/tcp/hello.js";
import { encodeIdentity, readIdentity } from "../../core/tcp/identity.js";
import { dropped } from "./garbage.js";

export interface ConnectionEvents {
  /** Items for the device; the memory is the receiver's. */
  onItems(items: PortItems, data: Uint8Array, ends: Uint32Array): void;
  /** The other end is vpnd, and from now on gets our own framing. */
  onPeer(hello: LinkHello): void;
  /** It showed who it is; node key in lower-case hex. Once. */
  onIdentity(nodeKey: string): void;
  /** A control message of a type from 0x20 on, of an end that showed who it is; the memory is the sender's. */
  onControl(data: Uint8Array): void;
  /** What waited is sent. */
  onDrain(): void;
  /** Once, at its end, for whatever reason; `code` as in `Reason`. */
  onEnd(reason: { code: string; message: string }): void;
}

export interface ConnectionOptions {
  hello: LinkHello;
  /** This node. */
  key: SigningKey;
  /** Keying material of TLS; empty without it. */
  binding: Uint8Array;
  /** How often the other end is asked for a sign of life, and how long it may be silent, milliseconds. */
  pingMs: number;
  deadMs: number;
  events: ConnectionEvents;
}

/** So much may wait in this process, bytes; what is more waits in the device's queue, which is bounded. */
const mostWaiting = 512 << 10;
/** A whole batch of the packet port fits. */
const roomBytes = 320 << 10;
const leastRoom = 16 << 10;
const mostRooms = 4;
/** Who is refused has so long to read why, milliseconds. */
const refuseMs = 2_000;
/** Control messages from this type on are not the connection's own business. */
const firstForeign = 0x20;

export class Connection {
  readonly #stream: Duplex;
  readonly #options: ConnectionOptions;
  readonly #reader: FrameReader;
  readonly #timer: NodeJS.Timeout;
  readonly #pings = new Map<number, { at: number; answered: (rttSeconds: number) => void }>();
  /** Of what is sent. What is read may still be of the other one. */
  #framing: Framing = "classic";
  #peer: LinkHello | undefined;
  readonly #rooms: Buffer[] = [];
  #identified = false;
  #first = true;
  #lastToken = 0;
  #heardAt = performance.now();
  #ended = false;
  #rttSeconds: number | undefined;
  /** Items that had no place in the framing. */
  leftOut = 0;

  constructor(stream: Duplex, options: ConnectionOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#reader = new FrameReader({
      onItems: (kind, data, ends) => this.#onItems(kind, data, ends),
      onClassicItem: (item) => this.#onClassicItem(item),
    });
    stream.on("data", (chunk: Buffer) => {
      if (this.#ended) return;
      this.#heardAt = performance.now();
      // Most of it is copied once more to become whole.
      dropped(2 * chunk.length);
      if (!this.#reader.read(chunk)) this.#end("protocol", "the other end sent what is no frame");
    });
    stream.on("drain", () => options.events.onDrain());
    stream.on("error", (error: NodeJS.ErrnoException) => this.#end(...explained(error)));
    stream.on("end", () => this.#end("disconnected", "the other end closed the connection"));
    stream.on("close", () => this.#end("disconnected", "the connection was closed"));
    this.#timer = setInterval(() => this.#look(), options.pingMs);
    this.#timer.unref();
    stream.write(encodeClassic(encodeHello(options.hello)));
  }

  /** The other end, if it is vpnd. */
  get peer(): LinkHello | undefined {
    return this.#peer;
  }

  get rttSeconds(): number | undefined {
    return this.#rttSeconds;
  }

  get framing(): Framing {
    return this.#framing;
  }

  /** Sends a batch and gives it back. @returns false when no more should be sent until `onDrain` */
  send(batch: PacketBatch): boolean {
    const room = this.#room(roomFor(batch.ends));
    const { bytes, left } = encodeItems(this.#framing, batch.items, batch.data, batch.ends, room);
    batch.release();
    this.leftOut += left;
    if (bytes.length > 0) this.#stream.write(bytes, () => this.#giveBack(room));
    else this.#giveBack(room);
    return this.#stream.writableLength < mostWaiting || !this.#stream.writableNeedDrain;
  }

  /** Tells a vpnd something; a classic end gets nothing. */
  tell(message: Uint8Array): void {
    if (this.#framing === "own") this.#stream.write(encodeControl(message));
  }

  /** Calls back with the round trip when the other end answers; only for vpnd. @returns what takes it back */
  ping(answered: (rttSeconds: number) => void): () => void {
    this.#lastToken = (this.#lastToken + 1) >>> 0;
    const token = this.#lastToken;
    this.#pings.set(token, { at: performance.now(), answered });
    this.#stream.write(encodeControl(encodeLinkControl({ type: "ping", token })));
    return () => this.#pings.delete(token);
  }

  /** Tells a vpnd that the link has its two ends, and ends it without `onEnd`. */
  refuse(): void {
    this.tell(takenControl);
    this.#ended = true;
    this.#stream.end();
    setTimeout(() => this.#release(), refuseMs).unref();
  }

  /** Ends it without `onEnd`. */
  close(): void {
    this.#ended = true;
    this.#release();
  }

  /** Large batches come one behind the other, and go into the same few pieces of memory. Undefined: new memory is cheap enough. */
  #room(bytes: number): Buffer | undefined {
    if (bytes < leastRoom || bytes > roomBytes) return undefined;
    return this.#rooms.pop() ?? Buffer.allocUnsafeSlow(roomBytes);
  }

  #giveBack(room: Buffer | undefined): void {
    if (room !== undefined && this.#rooms.length < mostRooms) this.#rooms.push(room);
  }

  #end(code: string, message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.#options.events.onEnd({ code, message });
  }

  #release(): void {
    clearInterval(this.#timer);
    this.#pings.clear();
    this.#stream.destroy();
  }

  #onItems(kind: number, data: Uint8Array, ends: Uint32Array): void {
    if (this.#ended) return;
    const { events, hello } = this.#options;
    if (kind === kinds.packet) events.onItems(hello.tap ? "frames" : "packets", data, ends);
    else if (kind === kinds.super && !hello.tap) events.onItems("supers", data, ends);
    if (kind !== kinds.control) return;
    let from = 0;
    for (const end of ends) {
      this.#onControl(data.subarray(from, end));
      from = end;
    }
  }

  #onControl(bytes: Uint8Array): void {
    const message = parseLinkControl(bytes);
    if (message?.type === "ping") {
      // Whoever asks faster than it takes the answers gets none.
      if (this.#stream.writableLength < mostWaiting) {
        this.#stream.write(encodeControl(encodeLinkControl({ type: "pong", token: message.token })));
      }
    } else if (message?.type === "pong") {
      const ping = this.#pings.get(message.token);
      if (ping === undefined) return;
      this.#pings.delete(message.token);
      ping.answered((performance.now() - ping.at) / 1000);
    } else if (bytes[0] === takenControl[0]) {
      this.#end("taken", taken);
    } else if ((bytes[0] ?? 0) >= firstForeign) {
      if (this.#identified) this.#options.events.onControl(bytes);
    } else if (!this.#identified) {
      this.#identify(bytes);
    }
  }

  #identify(bytes: Uint8Array): void {
    const { hello, binding, events } = this.#options;
    if (this.#peer === undefined) return;
    const nodeKey = readIdentity(bytes, { signer: this.#peer.nonce, reader: hello.nonce, binding });
    if (nodeKey === undefined) return;
    this.#identified = true;
    events.onIdentity(nodeKey);
  }

  #onClassicItem(item: Uint8Array): "pass" | "take" | "own" {
    const { hello, events, key, binding } = this.#options;
    if (this.#first) {
      // Only the very first item: what comes later may be of anybody on the other machine.
      this.#first = false;
      if (isTaken(item, hello.tap)) {
        this.#end("taken", taken);
        return "take";
      }
      const peer = parseHello(item, hello.tap);
      if (peer === undefined) return "pass";
      if (Buffer.compare(peer.nonce, hello.nonce) === 0) {
        this.#end("loop", "the other end sends back what it gets");
        return "take";
      }
      this.#peer = peer;
      this.#stream.write(encodeClassic(encodeAck(peer.nonce, hello.tap)));
      this.#framing = "own";
      this.tell(encodeIdentity(key, { signer: hello.nonce, reader: peer.nonce, binding }));
      events.onPeer(peer);
      this.#measure();
      return "take";
    }
    return this.#peer !== undefined && isAck(item, hello.nonce, hello.tap) ? "own" : "pass";
  }

  /** A classic end has nothing to answer with: there the kernel alone watches the connection. */
  #look(): void {
    if (this.#peer === undefined) return;
    if (performance.now() - this.#heardAt > this.#options.deadMs) {
      this.#end("silent", "the other end does not answer any more");
      return;
    }
    this.#measure();
  }

  #measure(): void {
    // One at a time: what waits in front of it is waited for by all.
    const oldest = this.#pings.values().next().value;
    if (oldest !== undefined && performance.now() - oldest.at > this.#options.deadMs) this.#pings.clear();
    this.ping((rtt) => {
      this.#rttSeconds = this.#rttSeconds === undefined ? rtt : this.#rttSeconds * 0.75 + rtt / 4;
    });
  }
}

const taken = "the other end is linked with somebody else; a link has two ends";

const known: Readonly<Record<string, [string, string]>> = {
  ECONNRESET: ["disconnected", "the other end reset the connection"],
  EPIPE: ["disconnected", "the other end closed the connection"],
  ETIMEDOUT: ["silent", "the other end does not answer any more"],
  EHOSTUNREACH: ["unreachable", "there is no way to the other end any more"],
  ENETUNREACH: ["unreachable", "there is no way to the other end any more"],
};

const explained = (error: NodeJS.ErrnoException): [string, string] =>
  known[error.code ?? ""] ?? ["disconnected", error.message];
