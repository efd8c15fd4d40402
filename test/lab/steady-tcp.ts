/** One TCP connection that talks all the time, to show that something else does not disturb it. */
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { waitFor } from "./command.js";
import { type Host, repository } from "./lab.js";
import type { Running } from "./machine.js";

const port = 7100;
const intervalMs = 20;

export interface SteadyCount {
  sent: number;
  echoed: number;
  /** Longest time without an answer, milliseconds. */
  longestGapMs: number;
  /** Why the connection ended, if it did. */
  ended?: string;
}

export class SteadyTcp {
  private constructor(
    readonly server: Running,
    readonly client: Running,
  ) {}

  /** Resolves once the first answer has come. */
  static async start(from: Host, to: Host, address: string): Promise<SteadyTcp> {
    const server = startEnd(to, "steady-server", ["serve"]);
    await to.listening(server, "tcp", port);
    const client = startEnd(from, "steady-client", ["talk", address]);
    const steady = new SteadyTcp(server, client);
    await waitFor(() => steady.count.echoed > 0, 20_000, `${from.name} talks with ${address}`);
    return steady;
  }

  get count(): SteadyCount {
    const line = this.client.log.trimEnd().split("\n").at(-1) ?? "";
    return line.startsWith("{") ? JSON.parse(line) : { sent: 0, echoed: 0, longestGapMs: 0 };
  }

  /** Waits until so many more lines have been echoed; fails if the connection ended. */
  async goesOn(lines = 20): Promise<SteadyCount> {
    const before = this.count.echoed;
    return waitFor(
      () => {
        const { count } = this;
        if (count.ended !== undefined) throw new Error(`the connection ended: ${count.ended}`);
        return count.echoed >= before + lines && count;
      },
      20_000,
      "the connection goes on",
      () => this.count,
    );
  }

  stop(): void {
    this.client.kill("SIGKILL");
    this.server.kill("SIGKILL");
  }
}

function startEnd(host: Host, name: string, args: readonly string[]): Running {
  const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
  return host.spawn(name, process.execPath, ["--import", loader, fileURLToPath(import.meta.url), ...args]);
}

function serve(): void {
  createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(port, "::");
}

function talk(address: string): void {
  const count: SteadyCount = { sent: 0, echoed: 0, longestGapMs: 0 };
  const say = () => process.stdout.write(`${JSON.stringify(count)}\n`);
  const end = (why: string) => {
    count.ended ??= why;
    say();
    process.exit(1);
  };
  const socket = connect(port, address);
  socket.setNoDelay(true);
  socket.on("error", (error) => end(error.message));
  socket.on("close", () => end("closed"));
  let last = performance.now();
  createInterface({ input: socket }).on("line", (line) => {
    if (line !== String(count.echoed)) end(`line ${line} instead of ${count.echoed}`);
    count.echoed += 1;
    const now = performance.now();
    count.longestGapMs = Math.max(count.longestGapMs, Math.round(now - last));
    last = now;
    if (count.echoed % 5 === 0) say();
  });
  socket.once("connect", () =>
    setInterval(() => {
      socket.write(`${count.sent}\n`);
      count.sent += 1;
    }, intervalMs),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [mode, address = ""] = process.argv.slice(2);
  if (mode === "serve") serve();
  else talk(address);
}
