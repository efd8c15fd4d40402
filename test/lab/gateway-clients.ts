/**
 * Many clients of a gateway in one process, without devices: URL COUNT ADDRESS [hostile]. All connect and ping ADDRESS; half of them
 * leave and come back with their tokens; with `hostile`, others send what no client would while one goes on pinging. Prints what came of it.
 */
import { randomBytes } from "node:crypto";
import { waitFor } from "./command.js";
import { type GatewayClient as Client, welcome } from "./gateway-client.js";

export interface GatewayClientsReport {
  connected: number;
  answered: number;
  /** Came back with the addresses that they had. */
  same: number;
  /** Close code of one more than there is room for; absent: there was room. */
  beyond?: number;
  /** Close codes of the hostile ones. */
  hostile: number[];
  /** Pings of an honest one while the hostile ones were at it. */
  honest: { sent: number; answered: number };
  seconds: number;
}

const deadlineMs = 60_000;
/** So many connect at a time. */
const together = 50;

async function inGroups<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  for (let from = 0; from < count; from += together) {
    const group = Array.from({ length: Math.min(together, count - from) }, (_, i) => make(from + i));
    done.push(...(await Promise.all(group)));
  }
  return done;
}

/** Pings until all have an answer. */
async function pingAll(clients: readonly Client[], to: string): Promise<number> {
  const silent = (): Client[] => clients.filter((client) => client.answered === 0);
  const end = performance.now() + deadlineMs;
  while (silent().length > 0 && performance.now() < end) {
    for (const client of silent()) client.ping(to);
    const before = silent().length;
    await waitFor(() => silent().length < before || undefined, 2_000, "an answer").catch(() => {});
  }
  return clients.length - silent().length;
}

const cut = Buffer.concat([Buffer.from([0, 0, 0, 200]), Buffer.alloc(20)]);
const claims = (kind: number, item: Buffer): Buffer => {
  const frame = Buffer.alloc(4 + item.length);
  frame.writeUInt32BE(kind * 0x1000000 + item.length);
  item.copy(frame, 4);
  return frame;
};
/** Each on a connection of its own. */
const hostile: (Buffer | string)[] = [
  "hello",
  Buffer.from([0x80]),
  cut,
  Buffer.alloc(600 << 10),
  randomBytes(1000),
  claims(0, Buffer.alloc(0)),
  claims(0, Buffer.from([0x60, 0, 0])),
  claims(1, Buffer.alloc(3)),
  claims(1, randomBytes(2000)),
  claims(2, Buffer.from([3, 0x7b])),
  claims(9, randomBytes(100)),
];

async function disturb(
  url: string,
  honest: Client,
  to: string,
): Promise<Pick<GatewayClientsReport, "hostile" | "honest">> {
  const before = honest.answered;
  let sent = 0;
  const codes: number[] = [];
  for (const bytes of hostile) {
    const client = await welcome(url);
    client.send(bytes);
    honest.ping(to);
    sent += 1;
    await waitFor(
      () => honest.answered >= before + sent || undefined,
      5_000,
      "the honest one's answer",
    ).catch(() => {});
    if (client.code === undefined) await client.leave();
    codes.push(client.code ?? 0);
  }
  return { hostile: codes, honest: { sent, answered: honest.answered - before } };
}

const [url = "", count = "1", to = "", mode = ""] = process.argv.slice(2);
const began = performance.now();
const clients = await inGroups(Number(count), () => welcome(url));
const connected = clients.filter((client) => client.hello !== undefined).length;
const answered = await pingAll(clients, to);
const more = await welcome(url);
const leaving = clients.filter((_, index) => index % 2 === 1);
const had = leaving.map((client) => [client.address, client.hello?.resume ?? ""] as const);
await Promise.all(leaving.map((client) => client.leave()));
const back = await inGroups(had.length, async (index) => {
  const [address, resume] = had[index] ?? ["", ""];
  return (await welcome(url, resume)).address === address;
});
const [honest] = clients;
if (honest === undefined) throw new Error("no clients");
if (mode === "hostile") await more.leave();
// Room for the hostile ones.
if (mode === "hostile") await clients[2]?.leave();
const report: GatewayClientsReport = {
  connected,
  answered,
  same: back.filter(Boolean).length,
  ...(more.code !== undefined && more.hello === undefined && { beyond: more.code }),
  ...(mode === "hostile"
    ? await disturb(url, honest, to)
    : { hostile: [], honest: { sent: 0, answered: 0 } }),
  seconds: (performance.now() - began) / 1000,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
