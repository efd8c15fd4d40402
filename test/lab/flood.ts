/**
 * Datagrams in large numbers at one UDP port, sent by a process inside a host. Prints what it has sent, as JSON, at its end
 * (SIGTERM, or when the number is reached).
 *
 *   garbage  random bytes, and captured datagrams with some bytes changed
 *   forged   ClientHellos from many source addresses, without a cookie and with a wrong one; nobody reads the answers
 *   real     handshakes from many source addresses that answer the cookie; every other one goes on with an unknown PSK identity
 */
import { randomBytes, randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { endsFlight, makeClientHello, makeClientKeyExchange, readCookie } from "./dtls-client.js";
import { type Host, repository } from "./lab.js";
import type { Running } from "./machine.js";

export interface FloodOptions {
  kind: "garbage" | "forged" | "real";
  target: string;
  port: number;
  /** Datagrams, of kind `real` handshakes; goes on until it is stopped without. */
  count?: number;
  /** A second. */
  rate: number;
  /** Source addresses, `198.18.0.0/15`, from this one on; without, the host's own. */
  sources?: number;
  /** Lines of hex: datagrams to change. */
  samples?: string;
}

export interface FloodReport {
  sent: number;
  refused: number;
  answers: number;
}

/** Lets a host send from all of 198.18.0.0/15. */
export async function allowForgedSources(host: Host): Promise<void> {
  await host.ip("route", "add", "local", "198.18.0.0/15", "dev", "lo");
}

export class Flood {
  private constructor(readonly program: Running) {}

  static start(host: Host, options: FloodOptions): Flood {
    const script = fileURLToPath(import.meta.url);
    const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
    const args = ["--import", loader, script, JSON.stringify(options)];
    return new Flood(host.spawn("flood", process.execPath, args));
  }

  /** Resolves when the flood flows. */
  async flowing(): Promise<void> {
    await this.program.until(() => this.program.log.includes("flowing"), 30_000, "the flood flows");
  }

  /** Waits for the end of a flood with a count. */
  async ended(): Promise<FloodReport> {
    const code = await this.program.ended();
    return this.#report(code);
  }

  async stop(): Promise<FloodReport> {
    return this.#report(await this.program.stop());
  }

  #report(code: number): FloodReport {
    const line = this.program.log.split("\n").find((one) => one.startsWith("{"));
    if (code !== 0 || line === undefined)
      throw new Error(`the flood ended with ${code}\n${this.program.log}`);
    return JSON.parse(line) as FloodReport;
  }
}

const burstMs = 10;

function sourceAddress(n: number): string {
  return `198.${18 + ((n >> 16) & 1)}.${(n >> 8) & 255}.${n & 255}`;
}

function openSocket(address?: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("error", reject);
    socket.bind(0, address, () => {
      socket.off("error", reject);
      // Answers that ICMP brings are nobody's error here.
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

function garbage(samples: readonly Buffer[]): Buffer {
  const sample = samples[randomInt(Math.max(1, samples.length))];
  if (sample === undefined || randomInt(3) === 0) return randomBytes(randomInt(1, 1400));
  const changed = Buffer.from(
    sample.subarray(0, randomInt(4) === 0 ? randomInt(1, sample.length + 1) : undefined),
  );
  const changes = randomInt(1, 6);
  for (let i = 0; i < changes; i++) changed[randomInt(changed.length)] = randomInt(256);
  return changed;
}

function forged(): Buffer {
  return makeClientHello(randomBytes(32), randomInt(2) === 0 ? new Uint8Array() : randomBytes(32));
}

async function main(options: FloodOptions): Promise<void> {
  const report: FloodReport = { sent: 0, refused: 0, answers: 0 };
  const samples = (options.samples === undefined ? "" : readFileSync(options.samples, "utf8"))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Buffer.from(line, "hex"));
  const sockets: Socket[] = [];
  if (options.sources === undefined) sockets.push(await openSocket());
  for (let n = 0; n < (options.sources ?? 0); n++) sockets.push(await openSocket(sourceAddress(n + 1)));

  const send = (socket: Socket, data: Uint8Array): void => {
    socket.send(data, options.port, options.target, (error) => {
      if (error === null) report.sent += 1;
      else report.refused += 1;
    });
  };
  const randoms = new Map<Socket, Buffer>();
  const begin = (socket: Socket): void => {
    const random = randomBytes(32);
    randoms.set(socket, random);
    send(socket, makeClientHello(random, new Uint8Array()));
  };
  for (const [index, socket] of sockets.entries()) {
    socket.on("message", (data) => {
      report.answers += 1;
      if (options.kind !== "real") return;
      const cookie = readCookie(data);
      if (cookie !== undefined) send(socket, makeClientHello(randoms.get(socket) ?? randomBytes(32), cookie));
      else if (index % 2 === 0 && endsFlight(data)) send(socket, makeClientKeyExchange());
    });
  }

  let stopped = false;
  process.once("SIGTERM", () => {
    stopped = true;
  });
  process.stdout.write("flowing\n");
  let next = 0;
  const begun = performance.now();
  const count = options.count ?? Number.POSITIVE_INFINITY;
  while (!stopped && next < count) {
    const due = Math.min(count, (options.rate * (performance.now() - begun)) / 1000);
    // A process that was held up does not make up for all of it at once.
    for (let i = 0; next < due && i < options.rate / 20; i++, next++) {
      const socket = sockets[next % sockets.length];
      if (socket === undefined) break;
      if (options.kind === "real") begin(socket);
      else send(socket, options.kind === "forged" ? forged() : garbage(samples));
    }
    await delay(burstMs);
  }
  // All sends have been reported.
  while (Number.isFinite(count) && options.kind !== "real" && report.sent + report.refused < next)
    await delay(burstMs);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(JSON.parse(process.argv[2] ?? "{}") as FloodOptions);
}
