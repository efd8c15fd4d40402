/**
 * The engine on a TUN device with no vpnd around it: everybody who finishes a foreign handshake is the one peer that it has.
 * Commands are JSON lines on standard input, events and answers JSON lines on standard output.
 */
import { execFileSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { EngineEvent } from "../../src/daemon/core/engine.js";
import { networkKeys } from "../../src/daemon/core/keys/schedule.js";
import { createMeshEngine, makeSocket, openTun } from "../../src/daemon/io/native.js";
import { waitFor } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";

export interface EngineSetup {
  device: string;
  badger: boolean;
  /** Text; its bytes are the PSK. */
  psk: string;
  port: number;
  /** CIDR of the device. */
  address: string;
  /** CIDR of the one peer. */
  peer: string;
  mtu: number;
}

type Command = { do: "connect"; tag: number; to: string } | { do: "counters" } | { do: "stop" };

/** What an engine node prints; byte strings are left out. */
export type Line =
  | Exclude<EngineEvent, { type: "datagram" }>
  | {
      type: "counters";
      rxPackets: number;
      txPackets: number;
      rxBytes: number;
      txBytes: number;
      drops: Record<string, number>;
    };

export class EngineNode {
  #seen = 0;
  #tag = 100;

  private constructor(readonly program: Running) {}

  static async start(host: Host, setup: EngineSetup): Promise<EngineNode> {
    const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
    const script = fileURLToPath(import.meta.url);
    const args = ["--import", loader, script, JSON.stringify(setup)];
    const program = host.spawn("engine", process.execPath, args, { stdin: true });
    await program.until(() => program.log.includes('"ready"'), 20_000, "the engine is ready");
    return new EngineNode(program);
  }

  /** Everything printed since the last `forget`. */
  get lines(): Line[] {
    return this.program.log
      .split("\n")
      .filter((line) => line.startsWith("{") && line.endsWith("}"))
      .slice(this.#seen)
      .map((line): Line => JSON.parse(line));
  }

  /** What was printed until now is no answer to what comes next. */
  forget(): void {
    this.#seen += this.lines.length;
  }

  connect(to: string): number {
    this.#tag += 1;
    this.#send({ do: "connect", tag: this.#tag, to });
    return this.#tag;
  }

  async next<T extends Line["type"]>(
    type: T,
    condition: (line: Extract<Line, { type: T }>) => boolean = () => true,
    deadlineMs = 15_000,
  ): Promise<Extract<Line, { type: T }>> {
    const isWanted = (line: Line): line is Extract<Line, { type: T }> => line.type === type;
    return this.program.until(
      () => this.lines.filter(isWanted).find(condition),
      deadlineMs,
      `the engine says "${type}"`,
    );
  }

  /** Waits until the counters are what the condition wants. */
  async counters(
    condition: (counters: Extract<Line, { type: "counters" }>) => boolean = () => true,
  ): Promise<Extract<Line, { type: "counters" }>> {
    return waitFor(
      async () => {
        const before = this.lines.filter((line) => line.type === "counters").length;
        this.#send({ do: "counters" });
        const lines = await this.program.until(
          () => {
            const all = this.lines.filter((line) => line.type === "counters");
            return all.length > before && all;
          },
          5_000,
          "the engine counts",
        );
        return lines.filter(condition).at(-1);
      },
      10_000,
      "the engine has counted what was awaited",
      () => this.lines.at(-1),
    );
  }

  async stop(): Promise<void> {
    this.#send({ do: "stop" });
    await waitFor(() => this.program.code !== undefined, 10_000, "the engine ends");
  }

  #send(command: Command): void {
    this.program.stdin.write(`${JSON.stringify(command)}\n`);
  }
}

function print(line: object): void {
  const plain = (_: string, value: unknown) =>
    typeof value === "bigint" || value instanceof Uint8Array ? undefined : value;
  process.stdout.write(`${JSON.stringify(line, plain)}\n`);
}

function runNode(setup: EngineSetup): void {
  const tun = openTun({ name: setup.device });
  const socket = makeSocket({ family: 4, kind: "udp", port: setup.port });
  const keys = networkKeys(Buffer.from(setup.psk), setup.badger);
  const said = { networkId: keys.networkId, record: new Uint8Array(8) };
  const identity = {
    badger: setup.badger,
    nodeSeed: new Uint8Array(32).fill(7),
    ...said,
    epochs: [{ id: 1, ...said, ...keys.epoch }],
  };
  const engine = createMeshEngine({
    identity,
    tunFd: tun.fd,
    mtu: setup.mtu,
    sockets: [{ family: 4, fd: socket.fd }],
    threads: 2,
    pingIntervalMs: 1000,
    deadAfterMs: 5000,
  });
  const peer = 1;
  engine.setPeer(peer, [setup.peer]);
  engine.onEvent = (event) => {
    if (event.type === "foreign") engine.admit(event.assoc, peer);
    if (event.type !== "datagram") print(event);
  };
  engine.start();
  execFileSync("ip", ["address", "add", setup.address, "dev", tun.name]);
  execFileSync("ip", ["link", "set", tun.name, "mtu", String(setup.mtu), "up"]);
  createInterface({ input: process.stdin }).on("line", (line) => {
    const command: Command = JSON.parse(line);
    if (command.do === "connect") engine.connect(command.tag, command.to);
    else if (command.do === "counters") print({ type: "counters", ...engine.counters() });
    else
      void engine.stop().then(() => {
        print({ type: "stopped" });
        process.exit(0);
      });
  });
  print({ type: "ready" });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) runNode(JSON.parse(process.argv[2] ?? "{}"));
