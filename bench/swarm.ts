/**
 * Many nodes in one process, for what is measured to talk to: real engines with sessions of their own (`engines`), or sockets
 * that only register (`heartbeats`). Orders are one line of JSON on standard input; it says "ready" and runs until it is ended.
 */
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parsePsk } from "../src/common/psk.js";
import { signingKey } from "../src/daemon/core/keys/ed25519.js";
import { buildNodeRecord } from "../src/daemon/core/keys/node-record.js";
import { networkKeys } from "../src/daemon/core/keys/schedule.js";
import { createMeshEngine, makeSocket, openTun } from "../src/daemon/io/native.js";
import { type Host, repository } from "../test/lab/lab.js";
import type { Running } from "../test/lab/machine.js";

export interface SwarmOrders {
  kind: "engines" | "heartbeats";
  count: number;
  /** Addresses `prefix`.1, .2 and so on. */
  prefix: string;
  /** "ADDR:PORT" of the rendezvous server. */
  server: string;
  /** Text; of engines. */
  psk: string;
}

const heartbeatMs = 5000;

export async function startSwarm(host: Host, orders: SwarmOrders): Promise<Running> {
  const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
  const program = host.spawn(
    "swarm",
    process.execPath,
    ["--import", loader, fileURLToPath(import.meta.url)],
    {
      stdin: true,
    },
  );
  program.stdin.write(`${JSON.stringify(orders)}\n`);
  program.stdin.end();
  await program.until(() => program.log.includes("ready"), 30_000, "the swarm is ready");
  return program;
}

function runEngine(index: number, orders: SwarmOrders): (data: Uint8Array) => void {
  const virtualIp = `${orders.prefix}.${index + 1}`;
  const keys = networkKeys(parsePsk(Buffer.from(orders.psk), { badger: false }), false);
  const nodeSeed = new Uint8Array(32).fill(index + 1);
  const draft = { virtualIps: [virtualIp], name: `swarm${index}`, sequence: 1n, ttlSeconds: 3600 };
  const record = buildNodeRecord(draft, signingKey(nodeSeed), keys, new Uint8Array(12).fill(index));
  const engine = createMeshEngine({
    identity: {
      badger: false,
      nodeSeed,
      epochs: [{ id: 1, networkId: keys.networkId, record, ...keys.epoch }],
    },
    tunFd: openTun({ name: `swarm${index}` }).fd,
    mtu: 1400,
    sockets: [{ family: 4, fd: makeSocket({ family: 4, kind: "udp", port: 0 }).fd }],
    threads: 1,
    pingIntervalMs: 5000,
    deadAfterMs: 15_000,
  });
  const peer = 1;
  engine.setPeer(peer, ["10.0.0.0/8"]);
  engine.onEvent = (event) => {
    if (event.type === "hello") engine.admit(event.assoc, peer);
  };
  engine.start();
  return (data) => engine.send(orders.server, data);
}

function runSocket(orders: SwarmOrders): (data: Uint8Array) => void {
  const colon = orders.server.lastIndexOf(":");
  const socket = createSocket("udp4");
  return (data) => socket.send(data, Number(orders.server.slice(colon + 1)), orders.server.slice(0, colon));
}

function run(orders: SwarmOrders): void {
  for (let index = 0; index < orders.count; index++) {
    const send = orders.kind === "engines" ? runEngine(index, orders) : runSocket(orders);
    const heartbeat = Buffer.from(JSON.stringify({ VirtualIP: `${orders.prefix}.${index + 1}` }));
    const beat = () => send(heartbeat);
    beat();
    // Spread over the interval, as nodes that were started at different times are.
    setTimeout(() => setInterval(beat, heartbeatMs), (heartbeatMs * index) / orders.count);
  }
  process.stdout.write("ready\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  createInterface({ input: process.stdin }).once("line", (line) => run(JSON.parse(line)));
}
