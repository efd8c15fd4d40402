/**
 * Who means a gateway no good, in one process: URL TOKEN ADDRESS KNOCKS SLOW FRAMES. KNOCKS connections without a token; SLOW ones that say
 * their handshake byte by byte, while one with the token still gets in; then, with the token, packets that may not pass, fragments
 * of both kinds, packets of 64 kB, and FRAMES messages that once held a good one. Prints what came of it.
 */
import { randomInt } from "node:crypto";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { ownCodec } from "../../src/common/gateway/codec.js";
import { gatewayProtocol, parseGatewayHello } from "../../src/common/gateway/hello.js";
import { echoRequest } from "../interop/ip-packet.js";
import { waitFor } from "./command.js";

export interface GatewayAbuseReport {
  /** Connections without a token, and how many of them were answered 401. */
  knocks: number;
  turnedAway: number;
  /** Slow handshakes that were begun, and those that were cut off before one with the token was let in. */
  slow: number;
  slowCut: number;
  servedMeanwhile: boolean;
  /** Packets of which none may pass. */
  forbidden: number;
  mutated: number;
  /** Connections that ended over it. */
  broken: number;
  seconds: number;
}

const deadlineMs = 30_000;
const together = 50;
/** Bytes that wait to be sent. */
const mostWaiting = 1 << 20;

const [url = "", token = "", to = "", knocks = "0", slow = "0", frames = "0"] = process.argv.slice(2);

class Client {
  address = "";
  closed = false;
  readonly socket: WebSocket;

  constructor() {
    const headers = { authorization: `Bearer ${token}` };
    this.socket = new WebSocket(url, [gatewayProtocol], { headers, perMessageDeflate: false });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
    });
    this.socket.on("message", (message) => {
      if (this.address !== "" || !(message instanceof Buffer)) return;
      ownCodec.decode(message, {
        onItems: () => {},
        onControl: (control) => {
          this.address = parseGatewayHello(control)?.addresses[0]?.replace(/\/.*/, "") ?? "";
        },
      });
    });
  }

  static async welcome(): Promise<Client> {
    const client = new Client();
    await waitFor(() => client.address !== "" || client.closed, deadlineMs, "the gateway says hello");
    return client;
  }

  async send(...messages: Buffer[]): Promise<void> {
    for (const message of messages) this.socket.send(message, () => {});
    while (!this.closed && this.socket.bufferedAmount > mostWaiting) await delay(1);
  }

  sendItem(packet: Buffer): Promise<void> {
    return this.send(...ownCodec.encode("packets", packet, [packet.length]));
  }
}

async function knock(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, [gatewayProtocol]);
    socket.on("error", () => resolve(false));
    socket.on("unexpected-response", (request, { statusCode }) => {
      request.destroy();
      resolve(statusCode === 401);
    });
  });
}

async function knockAll(count: number): Promise<number> {
  let turnedAway = 0;
  for (let from = 0; from < count; from += together) {
    const group = Array.from({ length: Math.min(together, count - from) }, knock);
    turnedAway += (await Promise.all(group)).filter(Boolean).length;
  }
  return turnedAway;
}

/** A byte of the handshake now and then. */
class Slow {
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  closed = false;

  constructor() {
    const { hostname, port } = new URL(url);
    const text = `GET / HTTP/1.1\r\nHost: ${hostname}\r\nX-Long: ${"x".repeat(1000)}`;
    let at = 0;
    this.#socket = connect(Number(port), hostname);
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.stop());
    this.#timer = setInterval(() => this.#socket.write(text.charAt(at++)), 100);
  }

  stop(): void {
    this.closed = true;
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}

async function dribble(count: number): Promise<{ slowCut: number; servedMeanwhile: boolean }> {
  const all: Slow[] = [];
  for (let i = 0; i < count; i++) {
    all.push(new Slow());
    if (i % together === 0) await delay(5);
  }
  const client = await Client.welcome();
  const slowCut = all.filter((one) => one.closed).length;
  for (const one of all) one.stop();
  client.socket.close();
  return { slowCut, servedMeanwhile: client.address !== "" };
}

/** A fragment of the packet's payload. @param field of flags and offset, in units of 8 bytes */
function fragment(packet: Buffer, field: number): Buffer {
  const part = Buffer.from(packet);
  part.writeUInt16BE(field, 6);
  return part;
}

/** Of all that a client may not send, each with what is wrong alone. */
function forbidden(own: string): Buffer[] {
  const body = Buffer.alloc(56, 0x66);
  const good = echoRequest(own, to, 1, body);
  const destinations = [
    "10.0.0.1",
    "127.0.0.1",
    "192.168.0.1",
    "169.254.1.1",
    "224.0.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
  ];
  const sources = ["10.91.255.1", "127.0.0.1", to, "0.0.0.0", "93.184.216.99"];
  const six = Buffer.alloc(48);
  six.writeUInt32BE(0x60000000);
  six.writeUInt16BE(8, 4);
  six.writeUInt8(58, 6);
  six.writeUInt8(64, 7);
  six.fill(0xfd, 8, 24);
  six.fill(0x20, 24, 40);
  const spoofed = sources.map((source) => echoRequest(source, to, 1, body));
  return [
    ...spoofed,
    // Later fragments have no ports, but their addresses count.
    ...spoofed.map((packet) => fragment(packet, 0x2000)),
    ...spoofed.map((packet) => fragment(packet, 0x0003)),
    ...destinations.map((destination) => echoRequest(own, destination, 1, body)),
    ...destinations.map((destination) => fragment(echoRequest(own, destination, 1, body), 0x2001)),
    six,
    six.subarray(0, 20),
    good.subarray(0, 40),
    Buffer.concat([good, Buffer.alloc(10)]),
  ];
}

/** Packets of the largest size, a message in many fragments, and fragments of a packet that never end or overlap. */
async function largeAndSmall(client: Client): Promise<void> {
  const huge = echoRequest(client.address, to, 2, Buffer.alloc(65_535 - 28, 0x77));
  for (let i = 0; i < 20; i++) await client.sendItem(huge);
  const good = echoRequest(client.address, to, 3, Buffer.alloc(1400, 0x55));
  for (const field of [0x2000, 0x2001, 0x2100, 0x1fff, 0x3fff, 0x0001]) {
    for (let i = 0; i < 50; i++) await client.sendItem(fragment(good, field));
  }
  const [message = Buffer.alloc(0)] = ownCodec.encode("packets", good, [good.length]);
  for (let i = 0; i < message.length; i++)
    client.socket.send(message.subarray(i, i + 1), { fin: i === message.length - 1 });
}

/** One to three bytes are others; rarely such of the frame itself, which ends the connection. */
function mutate(message: Buffer): Buffer {
  const bytes = Buffer.from(message);
  const first = randomInt(200) === 0 ? 0 : 4;
  for (let n = randomInt(3); n >= 0; n--) bytes[randomInt(first, bytes.length)] = randomInt(256);
  return bytes;
}

async function mutations(count: number): Promise<number> {
  let broken = 0;
  let client = await Client.welcome();
  const good = (): Buffer[] => {
    const packet = echoRequest(client.address, to, 4, Buffer.alloc(40, 0x44));
    return ownCodec.encode("packets", packet, [packet.length]);
  };
  let [message = Buffer.alloc(0)] = good();
  for (let i = 0; i < count; i++) {
    if (client.closed || client.socket.readyState !== WebSocket.OPEN) {
      broken += 1;
      client = await Client.welcome();
      [message = Buffer.alloc(0)] = good();
    }
    await client.send(mutate(message));
    if (i % 100 === 0) await delay(0);
  }
  client.socket.close();
  return broken;
}

const began = performance.now();
const turnedAway = await knockAll(Number(knocks));
const slowly = await dribble(Number(slow));
const client = await Client.welcome();
const bad = forbidden(client.address);
for (const packet of bad) await client.sendItem(packet);
await largeAndSmall(client);
client.socket.close();
const broken = await mutations(Number(frames));
const report: GatewayAbuseReport = {
  knocks: Number(knocks),
  turnedAway,
  slow: Number(slow),
  ...slowly,
  forbidden: bad.length,
  mutated: Number(frames),
  broken,
  seconds: (performance.now() - began) / 1000,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
