/**
 * A member that does not play by the rules: a real engine with the mesh's PSK and a node key of its own, in whose name it claims
 * any virtual IP, to the rendezvous server and in HELLO, and shows any node record. It admits everybody.
 * Orders come as one line of JSON on standard input, later lines are endpoints to dial; events go out as lines of JSON.
 */
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parsePsk } from "../../src/common/psk.js";
import type { EngineEvent } from "../../src/daemon/core/engine.js";
import { signingKey } from "../../src/daemon/core/keys/ed25519.js";
import { buildNodeRecord } from "../../src/daemon/core/keys/node-record.js";
import { networkKeys } from "../../src/daemon/core/keys/schedule.js";
import { createMeshEngine, makeSocket, openTun } from "../../src/daemon/io/native.js";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";

export interface RogueOrders {
  /** Text. */
  psk: string;
  /** "ADDR:PORT" of the rendezvous server. */
  server: string;
  /** Claimed to the server; absent: unknown to it. */
  claim?: string;
  /** In its node record. */
  virtualIp: string;
  /** Hex of a node record to show instead of one of its own. */
  record?: string;
  /** Byte that its node key is made of. */
  key: number;
}

/** What it prints: of events, what matters to a test. */
export interface RogueLine {
  type: EngineEvent["type"] | "ready";
  tag?: number;
  endpoint?: string;
  reason?: string | number;
  refusal?: string;
  nodeKey?: string;
  record?: string;
}

export class RogueNode {
  private constructor(readonly program: Running) {}

  static async start(host: Host, orders: RogueOrders): Promise<RogueNode> {
    const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
    const args = ["--import", loader, fileURLToPath(import.meta.url)];
    const program = host.spawn("rogue", process.execPath, args, { stdin: true });
    program.stdin.write(`${JSON.stringify(orders)}\n`);
    const rogue = new RogueNode(program);
    await rogue.says((line) => line.type === "ready", "is ready", 20_000);
    return rogue;
  }

  dial(endpoint: string): void {
    this.program.stdin.write(`${endpoint}\n`);
  }

  get lines(): RogueLine[] {
    return this.program.log
      .split("\n")
      .filter((line) => line.startsWith("{") && line.endsWith("}"))
      .map((line): RogueLine => JSON.parse(line));
  }

  says(wanted: (line: RogueLine) => boolean, what: string, deadlineMs = 30_000): Promise<RogueLine> {
    return this.program.until(() => this.lines.find(wanted), deadlineMs, `the rogue ${what}`);
  }

  async stop(): Promise<void> {
    this.program.kill("SIGKILL");
    await this.program.ended();
  }
}

const heartbeatMs = 1000;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function print(line: RogueLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function run(orders: RogueOrders): (endpoint: string) => void {
  const keys = networkKeys(parsePsk(Buffer.from(orders.psk), { badger: false }), false);
  const nodeSeed = new Uint8Array(32).fill(orders.key);
  const draft = {
    virtualIps: [orders.virtualIp],
    name: "rogue",
    sequence: BigInt(Date.now()),
    ttlSeconds: 3600,
  };
  const own = buildNodeRecord(draft, signingKey(nodeSeed), keys, new Uint8Array(12).fill(orders.key));
  const record = orders.record === undefined ? own : new Uint8Array(Buffer.from(orders.record, "hex"));
  const engine = createMeshEngine({
    identity: {
      badger: false,
      nodeSeed,
      epochs: [{ id: 1, ...keys.epoch, networkId: keys.networkId, record }],
    },
    tunFd: openTun({ name: "rogue" }).fd,
    mtu: 1400,
    sockets: [{ family: 4, fd: makeSocket({ family: 4, kind: "udp", port: 0 }).fd }],
    threads: 1,
    pingIntervalMs: 1000,
    deadAfterMs: 5000,
  });
  const peer = 1;
  engine.setPeer(peer, ["10.0.0.0/8"]);
  engine.onEvent = (event) => {
    if (event.type === "datagram") return;
    if (event.type === "hello") {
      const { type, tag, endpoint } = event;
      print({ type, tag, endpoint, nodeKey: hex(event.nodeKey), record: hex(event.record) });
      engine.admit(event.assoc, peer);
    } else if (event.type === "failed") {
      const { type, tag, endpoint, reason, refusal } = event;
      print({ type, tag, endpoint, reason, ...(refusal === undefined ? {} : { refusal }) });
    } else if (event.type === "up") print({ type: "up", tag: event.tag, endpoint: event.endpoint });
  };
  engine.start();
  if (orders.claim !== undefined) {
    const heartbeat = Buffer.from(JSON.stringify({ VirtualIP: orders.claim }));
    const beat = () => engine.send(orders.server, heartbeat);
    beat();
    setInterval(beat, heartbeatMs);
  }
  print({ type: "ready" });
  let tag = 0;
  return (endpoint) => {
    tag += 1;
    engine.connect(tag, endpoint);
  };
}

function main(): void {
  let dial: ((endpoint: string) => void) | undefined;
  createInterface({ input: process.stdin }).on("line", (line) => {
    if (dial === undefined) dial = run(JSON.parse(line));
    else dial(line);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
