/**
 * Clients as those of fanqiang-poc, written from what is known of its protocol and not from our code: URL ADDRESS RECONNECTS
 * MUTATED. One pings ADDRESS with payloads of several sizes; others send what kills the original, and MUTATED messages that once were good;
 * then RECONNECTS connect, ping and leave, some without a word.
 */
import { randomBytes, randomInt } from "node:crypto";
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
  /** Messages that once were good, sent by one who was still served afterwards. */
  mutated: number;
  /** Pings of the first client while the others did that. */
  honest: { sent: number; answered: number };
  /** Of those who came and went: how many had an answer, how many were told that there is no room. */
  served: number;
  turnedAway: number;
}

const deadlineMs = 20_000;
/** So many at a time. */
const together = (count: number): number => (count < 100 ? 10 : 50);
/** Bytes that wait to be sent. */
const mostWaiting = 1 << 20;
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
    const before = this.answered;
    this.send(this.request(to, payload));
    const over = (): boolean => this.answered > before || this.code !== 0;
    await waitFor(() => over() || undefined, 5_000, "an answer").catch(() => {});
    return this.answered > before;
  }

  send(message: Buffer | string): void {
    this.#socket.send(message, () => {});
  }

  /** Sends, and is back when little waits. */
  async sendAll(messages: Iterable<Buffer>): Promise<number> {
    let sent = 0;
    for (const message of messages) {
      this.send(message);
      sent += 1;
      if (this.#socket.bufferedAmount > mostWaiting)
        await waitFor(
          () => this.#socket.bufferedAmount < mostWaiting / 2 || this.code !== 0,
          deadlineMs,
          "room",
        );
    }
    return this.code === 0 ? sent : 0;
  }

  /** A message with a ping in it. */
  request(to: string, payload: number): Buffer {
    this.#sequence += 1;
    const packet = echoRequest(this.address, to, this.#sequence, Buffer.alloc(payload));
    return Buffer.concat([Buffer.from([0x80 | (packet.length >> 8), packet.length & 0xff]), packet]);
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

/** Good messages with some bytes changed, cut off, or with more behind them. */
function* mutants(client: Client, to: string, count: number): Generator<Buffer> {
  const good = [0, 56, 1400].map((payload) => client.request(to, payload));
  for (let i = 0; i < count; i++) {
    const message = Buffer.from(good[i % good.length] ?? []);
    // Most in the headers, where they matter.
    for (let n = randomInt(1, 4); n > 0; n--)
      message[randomInt(Math.min(message.length, 60))] = randomInt(256);
    const cut = randomInt(4) === 0 ? message.subarray(0, randomInt(message.length)) : message;
    yield randomInt(4) === 0 ? Buffer.concat([cut, randomBytes(randomInt(200))]) : cut;
  }
}

async function mutate(url: string, honest: Client, to: string, count: number): Promise<number> {
  if (count === 0) return 0;
  const client = await welcome(url);
  const sending = client.sendAll(mutants(client, to, count));
  let over = false;
  void sending.finally(() => {
    over = true;
  });
  while (!over) if (!(await honest.ping(to))) throw new Error("the honest client was disturbed");
  const sent = await sending;
  const served = await client.ping(to);
  await client.leave(true);
  return served ? sent : 0;
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

const [url = "", to = "", reconnects = "0", mutated = "0"] = process.argv.slice(2);
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
  mutated: await mutate(url, first, to, Number(mutated)),
  ...(await comeAndGo(url, to, Number(reconnects))),
};
await first.leave(true);
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
