/** One living WebSocket of a gateway: items both ways in its protocol, and whether the other end still is there. */
import { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { CodecSink, GatewayCodec, GatewayItems } from "../../../common/gateway/codec.js";
import { noisePauseMs } from "../../../common/gateway/padding.js";
import type { Reason } from "../../core/carrier.js";
import { Gather } from "./gather.js";

export interface ChannelEvents extends CodecSink {
  /** What waited is sent. */
  onDrain(): void;
  /** Once, at its end, for whatever reason. */
  onEnd(reason: Reason): void;
}

export interface ChannelOptions {
  codec: GatewayCodec;
  events: ChannelEvents;
  /** How often the other end is asked for a sign of life, and how long it may be silent, milliseconds. */
  pingMs: number;
  deadMs: number;
}

/** What is sent and taken, without looking into it. */
interface Items {
  readonly data: Uint8Array;
  readonly ends: Uint32Array;
  readonly items: GatewayItems;
  release(): void;
}

/** So much may wait in this process, bytes; what is more waits in the device's queue, which is bounded. */
const mostWaiting = 512 << 10;
/** Close codes of RFC 6455 section 7.4.1. */
export const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocol: 1002,
  text: 1003,
  policy: 1008,
  tryLater: 1013,
  /** Of our own: the user has a quota, and it is used up. */
  quota: 4029,
};
const mostPings = 16;

export class Channel {
  readonly #socket: WebSocket;
  readonly #options: ChannelOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #gather: Gather;
  #noiseTimer: NodeJS.Timeout | undefined;
  readonly #pings = new Map<string, { at: number; answered: (rttSeconds: number) => void }>();
  #lastToken = 0;
  #waiting = 0;
  #full = false;
  #heardAt = performance.now();
  #ended = false;
  #rttSeconds: number | undefined;

  constructor(socket: WebSocket, options: ChannelOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#gather = new Gather(options.events);
    socket.on("message", (message, isBinary) => this.#take(message, isBinary));
    socket.on("ping", () => this.#heard());
    socket.on("pong", (data) => this.#answered(data.toString("latin1")));
    socket.on("error", (error) => this.#end(...explained(error)));
    socket.on("close", (code, text) => this.#end(...farewell(code, text.toString("utf8"))));
    this.#timer = setInterval(() => this.#look(), options.pingMs);
    this.#timer.unref();
    this.#measure();
    this.#planNoise();
  }

  get rttSeconds(): number | undefined {
    return this.#rttSeconds;
  }

  /** Sends a batch and gives it back. @returns false when no more should be sent until `onDrain` */
  send(batch: Items): boolean {
    const messages = this.#options.codec.encode(batch.items, batch.data, batch.ends);
    batch.release();
    return this.sendMessages(messages);
  }

  /** As `send`, for whole messages. */
  sendMessages(messages: readonly Buffer[]): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return true;
    const stream = messages.length > 1 ? streamOf(this.#socket) : undefined;
    stream?.cork();
    for (const message of messages) {
      this.#waiting += message.length;
      this.#socket.send(message, { binary: true }, () => this.#sent(message.length));
    }
    stream?.uncork();
    if (this.#waiting >= mostWaiting) this.#full = true;
    return !this.#full;
  }

  /** Calls back with the round trip when the other end answers. @returns what takes it back */
  ping(answered: (rttSeconds: number) => void): () => void {
    this.#lastToken += 1;
    const token = String(this.#lastToken);
    if (this.#socket.readyState === WebSocket.OPEN && this.#pings.size < mostPings) {
      this.#pings.set(token, { at: performance.now(), answered });
      this.#socket.ping(token);
    }
    return () => this.#pings.delete(token);
  }

  /** Nothing is read, so that the other end's own queue fills. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#heard();
    this.#socket.resume();
  }

  /** Ends it without `onEnd`; the other end is told why. */
  close(code: number, text: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.#socket.close(code, text);
  }

  #take(message: unknown, isBinary: boolean): void {
    if (this.#ended) return;
    this.#heard();
    if (!isBinary) {
      this.#fail(closeCodes.text, "sent text where there are only packets");
      return;
    }
    // Binary messages come as buffers, unless asked for otherwise.
    if (!(message instanceof Buffer)) return;
    if (!this.#decodes(message)) this.#fail(closeCodes.protocol, "sent what is none of this protocol");
  }

  /** A message that nobody thought of ends its own connection, and not vpnd. */
  #decodes(message: Buffer): boolean {
    try {
      return this.#options.codec.decode(message, this.#gather);
    } catch {
      return false;
    }
  }

  #fail(code: number, what: string): void {
    this.#socket.close(code, what);
    this.#end("protocol", `the other end ${what}`);
  }

  #sent(bytes: number): void {
    this.#waiting -= bytes;
    if (!this.#full || this.#waiting > mostWaiting / 2) return;
    this.#full = false;
    if (!this.#ended) this.#options.events.onDrain();
  }

  #heard(): void {
    this.#heardAt = performance.now();
  }

  #answered(token: string): void {
    this.#heard();
    const ping = this.#pings.get(token);
    if (ping === undefined) return;
    this.#pings.delete(token);
    ping.answered((performance.now() - ping.at) / 1000);
  }

  #look(): void {
    // While nothing is read nothing can be heard.
    if (this.#socket.isPaused) this.#heard();
    if (performance.now() - this.#heardAt > this.#options.deadMs) {
      this.#end("silent", "the other end does not answer any more");
      this.#socket.terminate();
      return;
    }
    this.#measure();
  }

  #measure(): void {
    const oldest = this.#pings.values().next().value;
    if (oldest !== undefined && performance.now() - oldest.at > this.#options.deadMs) this.#pings.clear();
    this.ping((rtt) => {
      this.#rttSeconds = this.#rttSeconds === undefined ? rtt : this.#rttSeconds * 0.75 + rtt / 4;
    });
  }

  #end(code: string, message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.#options.events.onEnd({ code, message });
  }

  #planNoise(): void {
    const { codec } = this.#options;
    if (codec.noise === undefined) return;
    this.#noiseTimer = setTimeout(() => {
      // What waits hides enough.
      if (!this.#full) this.sendMessages([codec.noise?.() ?? Buffer.alloc(0)]);
      this.#planNoise();
    }, noisePauseMs());
    this.#noiseTimer.unref();
  }

  #release(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#noiseTimer);
    this.#pings.clear();
    // One that never answers the close is not waited for.
    const grace = setTimeout(() => this.#socket.terminate(), 5_000);
    grace.unref();
    this.#socket.once("close", () => clearTimeout(grace));
    if (this.#socket.isPaused) this.#socket.resume();
  }
}

/** What messages are written to: several of them at once are one system call. ws keeps it to itself, and nothing breaks without it. */
function streamOf(socket: WebSocket): Duplex | undefined {
  const stream: unknown = Reflect.get(socket, "_socket");
  return stream instanceof Duplex ? stream : undefined;
}

function explained(error: NodeJS.ErrnoException): [string, string] {
  if (error.code?.startsWith("WS_ERR_") === true)
    return ["protocol", `the other end broke the protocol: ${error.message}`];
  return ["disconnected", error.message];
}

const farewells: Readonly<Record<number, [string, string]>> = {
  1001: ["disconnected", "the other end is going away"],
  1006: ["disconnected", "the connection was cut"],
  1008: ["refused", "the other end closed the connection"],
  1013: ["full", "the gateway has no room now"],
  4029: ["quota", "the user's quota is used up"],
};

function farewell(code: number, text: string): [string, string] {
  const [reason, message] = farewells[code] ?? ["disconnected", "the other end closed the connection"];
  const said = text.replace(/[^\x20-\x7e]/g, "").slice(0, 100);
  return [reason, said === "" ? message : `${message}: ${said}`];
}
