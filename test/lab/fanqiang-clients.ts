/**
 * Clients as those of fanqiang-poc, written from what is known of its protocol and not from our code: URL ADDRESS RECONNECTS. One pings
 * ADDRESS with payloads of several sizes; others send what kills the original; then RECONNECTS connect, ping and leave, some without a word.
 */
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { echoed, echoRequest } from "../interop/ip-packet.js";
import { waitFor } from "./command.js";

export interface FanqiangReport {
  hello: string;
  /** Pings with their answers. */
  sent: number;
  answered: number;
  /** Sizes of messages with a packet, and of such that are noise. */
  sizes: number[];
  noise: number[];
  /** Milliseconds between messages that are noise. */
  pauses: number[];
  /** Of what kills the original: the close code, 0 when the connection goes on. */
  killers: number[];
  /** Pings of the first client while the others did that. */
  honest: { sent: number; answered: number };
  /** Of those who came and went: how many had an answer, how many were told that there is no room. */
  served: number;
  turnedAway: number;
}

const deadlineMs = 20_000;
/** So many at a time. */
const together = (count: number): number => (count < 100 ? 10 : 50);
/** So long noise is listened to. */
const listenMs = 1_500;

class Client {
  hello = "";
  answered = 0;
  code = 0;
  readonly sizes = new Set<number>();
  readonly noise: { at: number; size: number }[] = [];
  readonly #socket: WebSocket;
  #sequence = 0;

  constructor(url: string) {
    this.#socket = new WebSocket(url, { perMessageDeflate: false });
    this.#socket.on("error", () => {});
    this.#socket.on("close", (code) => {
      this.code = code;
    });
    this.#socket.on("message", (message) => {
      if (message instanceof Buffer) this.#take(message);
    });
  }

  async ready(): Promise<this> {
    await waitFor(() => this.hello !== "" || this.code !== 0, deadlineMs, "a client is welcome");
    return this;
  }

  get address(): string {
    return this.hello.replace(/\d+\/30.*/, (last) => String(Number.parseInt(last, 10) + 2));
  }

  async ping(to: string, payload = 56): Promise<boolean> {
    this.#sequence += 1;
    const packet = echoRequest(this.address, to, this.#sequence, Buffer.alloc(payload));
    const before = this.answered;
    this.send(Buffer.concat([Buffer.from([0x80 | (packet.length >> 8), packet.length & 0xff]), packet]));
    const over = (): boolean => this.answered > before || this.code !== 0;
    await waitFor(() => over() || undefined, 5_000, "an answer").catch(() => {});
    return this.answered > before;
  }

  send(message: Buffer | string): void {
    this.#socket.send(message, () => {});
  }

  async leave(politely: boolean): Promise<void> {
    if (politely) this.#socket.close();
    else this.#socket.terminate();
    await waitFor(() => this.code !== 0, deadlineMs, "a client has left");
  }

  #take(message: Buffer): void {
    if (message.length === 0 || message[0] === 0) {
      this.noise.push({ at: performance.now(), size: message.length });
      return;
    }
    const length = message.readUInt16BE(0) & 0x7fff;
    const packet = message.subarray(2, 2 + length);
    this.sizes.add(message.length);
    if (this.hello !== "") {
      if (echoed(packet) !== undefined) this.answered += 1;
      return;
    }
    this.hello = packet.toString("latin1");
  }
}

const welcome = (url: string): Promise<Client> => new Client(url).ready();

/** Each on a connection of its own. */
const killers: (Buffer | string)[] = [
  "hello",
  Buffer.from([0x80]),
  Buffer.from([0x80, 3, 0x60, 0, 0]),
  Buffer.from([0x80, 200, 0x60, 1, 2]),
  Buffer.from([0x80, 0]),
  Buffer.from([0x80, 20, ...Buffer.alloc(20, 0x45)]),
  Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.alloc(64 << 10, 0x45)]),
  Buffer.alloc(600 << 10, 0x80),
];

async function disturb(
  url: string,
  honest: Client,
  to: string,
): Promise<Pick<FanqiangReport, "killers" | "honest">> {
  const before = honest.answered;
  const codes = killers.map(async (bytes) => {
    const client = await welcome(url);
    client.send(bytes);
    await honest.ping(to);
    // One that lives on is served.
    const served = await client.ping(to);
    if (client.code === 0) await client.leave(true);
    return served ? 0 : client.code;
  });
  return {
    killers: await Promise.all(codes),
    honest: { sent: killers.length, answered: honest.answered - before },
  };
}

async function comeAndGo(
  url: string,
  to: string,
  count: number,
): Promise<Pick<FanqiangReport, "served" | "turnedAway">> {
  let [served, turnedAway] = [0, 0];
  for (let done = 0; done < count; done += together(count)) {
    const group = Array.from({ length: Math.min(together(count), count - done) }, async (_, i) => {
      const client = await welcome(url);
      if (client.hello === "") turnedAway += 1;
      else if (await client.ping(to)) served += 1;
      if (client.code === 0) await client.leave(i % 2 === 0);
    });
    await Promise.all(group);
  }
  return { served, turnedAway };
}

const [url = "", to = "", reconnects = "0"] = process.argv.slice(2);
const first = await welcome(url);
const payloads = [0, 56, 300, 700, 1400, 1472];
for (const payload of payloads) await first.ping(to, payload);
const { answered } = first;
const disturbed = await disturb(url, first, to);
await delay(listenMs);
const report: FanqiangReport = {
  hello: first.hello,
  sent: payloads.length,
  answered,
  sizes: [...first.sizes],
  noise: [...new Set(first.noise.map(({ size }) => size))],
  pauses: first.noise.slice(1).map(({ at }, i) => at - (first.noise[i]?.at ?? 0)),
  ...disturbed,
  ...(await comeAndGo(url, to, Number(reconnects))),
};
await first.leave(true);
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
