/**
 * A node as the paper has it, out of JSON on UDP and an OpenSSL program: one UDP socket for server, punches and DTLS, as the map
 * shows it; the DTLS program sits behind a forwarder on loopback. It answers pings through its tunnel, and writes down everything
 * that other nodes send to it.
 *
 * As a script it takes its setup as JSON, commands as JSON lines, and prints a JSON line for each event.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { foreignSuite } from "./foreign-peers.js";
import { echoReply, echoRequest } from "./ip-packet.js";

export interface BadgerSetup {
  server: { address: string; port: number };
  virtualIp: string;
  /** The other node's. */
  peer: string;
  port: number;
  /** Text. */
  psk: string;
  /** As DTLS client: it dials when it got this many punches. */
  dialAfterPunches: number;
}

export type BadgerLine =
  | { type: "ready" }
  | { type: "map"; nodes: string[] }
  | { type: "datagram"; hex: string }
  | { type: "plain"; hex: string }
  /** The DTLS program ended: its peer said close_notify. */
  | { type: "over" };

export class BadgerNode {
  private constructor(readonly program: Running) {}

  static async start(host: Host, setup: BadgerSetup): Promise<BadgerNode> {
    const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
    const args = ["--import", loader, fileURLToPath(import.meta.url), JSON.stringify(setup)];
    const program = host.spawn("badger", process.execPath, args, { stdin: true });
    await program.until(() => program.log.includes('"ready"'), 20_000, "the node is ready");
    return new BadgerNode(program);
  }

  get lines(): BadgerLine[] {
    const whole = this.program.log.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
    return whole.map((line): BadgerLine => JSON.parse(line));
  }

  get maps(): number {
    return this.lines.filter((line) => line.type === "map").length;
  }

  /** All datagrams from other nodes, oldest first. */
  get datagrams(): Buffer[] {
    return this.lines.flatMap((line) => (line.type === "datagram" ? [Buffer.from(line.hex, "hex")] : []));
  }

  /** All bytes that came out of the tunnel. */
  get plain(): Buffer {
    return Buffer.concat(
      this.lines.flatMap((line) => (line.type === "plain" ? [Buffer.from(line.hex, "hex")] : [])),
    );
  }

  async until(condition: () => boolean, deadlineMs: number, what: string): Promise<void> {
    await this.program.until(condition, deadlineMs, what);
  }

  /** Pings through its tunnel. */
  ping(payload: string): void {
    this.program.stdin.write(`${JSON.stringify({ payload })}\n`);
  }
}

const say = (line: BadgerLine) => process.stdout.write(`${JSON.stringify(line)}\n`);
const heartbeatMs = 5000;
const dtlsServerPort = 7001;

/** 10.0.0.9 is larger than 10.0.0.10 only as text. */
function isLarger(one: string, other: string): boolean {
  const bytes = (text: string) => Buffer.from(text.split(".").map(Number));
  return Buffer.compare(bytes(one), bytes(other)) > 0;
}

function runNode(setup: BadgerSetup): void {
  const isClient = isLarger(setup.virtualIp, setup.peer);
  const outside = createSocket("udp4");
  const inside = createSocket("udp4");
  let peerAt: { address: string; port: number } | undefined;
  let dtlsAt: number | undefined = isClient ? undefined : dtlsServerPort;
  let dtls: ChildProcess | undefined;
  let punches = 0;
  let connected = false;

  const startDtls = (): void => {
    const where = isClient
      ? ["s_client", "-connect", `127.0.0.1:${inside.address().port}`]
      : ["s_server", "-accept", `127.0.0.1:${dtlsServerPort}`, "-listen", "-nocert", "-naccept", "1"];
    const key = ["-psk", Buffer.from(setup.psk).toString("hex"), "-psk_identity", "badger"];
    const child = spawn("openssl", [...where, "-dtls1_2", "-quiet", "-cipher", foreignSuite, ...key], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    dtls = child;
    let waiting = Buffer.alloc(0);
    child.stdout.on("data", (chunk: Buffer) => {
      connected = true;
      say({ type: "plain", hex: chunk.toString("hex") });
      waiting = Buffer.concat([waiting, chunk]);
      while (
        waiting.length >= 20 &&
        waiting.length >= waiting.readUInt16BE(2) &&
        waiting.readUInt16BE(2) >= 20
      ) {
        const size = waiting.readUInt16BE(2);
        const reply = echoReply(waiting.subarray(0, size));
        if (reply !== undefined) child.stdin.write(reply);
        waiting = waiting.subarray(size);
      }
    });
    child.once("exit", () => say({ type: "over" }));
  };

  const onMap = (data: Buffer): void => {
    const map: { Nodes: { VirtualIP: string; PublicIP: string }[] } = JSON.parse(data.toString());
    say({ type: "map", nodes: map.Nodes.map((node) => `${node.VirtualIP} ${node.PublicIP}`) });
    const entry = map.Nodes.find((node) => node.VirtualIP === setup.peer);
    if (entry === undefined) return;
    const [address = "", port] = entry.PublicIP.split(":");
    peerAt = { address, port: Number(port) };
    if (!isClient && !connected) outside.send(Buffer.alloc(1), peerAt.port, peerAt.address);
    if (isClient && dtls === undefined && punches >= setup.dialAfterPunches) startDtls();
  };

  outside.on("message", (data, from) => {
    if (from.address === setup.server.address && from.port === setup.server.port) {
      onMap(data);
      return;
    }
    say({ type: "datagram", hex: data.toString("hex") });
    if (data.length === 1) punches += 1;
    else if (dtlsAt !== undefined) inside.send(data, dtlsAt, "127.0.0.1");
    if (isClient && dtls === undefined && peerAt !== undefined && punches >= setup.dialAfterPunches)
      startDtls();
  });
  inside.on("message", (data, from) => {
    dtlsAt = from.port;
    if (peerAt !== undefined) outside.send(data, peerAt.port, peerAt.address);
  });
  createInterface({ input: process.stdin }).on("line", (line) => {
    const command: { payload: string } = JSON.parse(line);
    dtls?.stdin?.write(echoRequest(setup.virtualIp, setup.peer, 1, Buffer.from(command.payload)));
  });
  process.once("SIGTERM", () => {
    dtls?.kill("SIGKILL");
    process.exit(0);
  });

  const heartbeat = (): void => {
    const text = JSON.stringify({ VirtualIP: setup.virtualIp, PrivateIP: "192.168.77.7:1" });
    outside.send(text, setup.server.port, setup.server.address);
  };
  inside.bind(0, "127.0.0.1", () => {
    outside.bind(setup.port, "0.0.0.0", () => {
      if (!isClient) startDtls();
      heartbeat();
      setInterval(heartbeat, heartbeatMs);
      say({ type: "ready" });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) runNode(JSON.parse(process.argv[2] ?? "{}"));
