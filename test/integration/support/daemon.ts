import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "../../../src/common/grpc/client.js";

const root = new URL("../../..", import.meta.url).pathname;
let counter = 0;

/** What tests with network namespaces are given as `skip`. */
export const skip = process.getuid?.() === 0 ? false : "needs root for network namespaces";

/** Programs run by this test in one network namespace of its own, with a folder for state and sockets. */
export class Bench {
  readonly netns = `vd-${process.pid}-${counter++}`;
  readonly folder = mkdtempSync(join(tmpdir(), "vd-"));
  readonly stateDir = join(this.folder, "state");
  readonly socket = join(this.folder, "vpnd.sock");
  readonly #children: ChildProcess[] = [];

  constructor() {
    execFileSync("ip", ["netns", "add", this.netns]);
    this.ip("link", "set", "lo", "up");
  }

  /** Runs `ip` in the namespace. */
  ip(...args: string[]): string {
    return execFileSync("ip", ["-n", this.netns, ...args], { encoding: "utf8" });
  }

  /** Standard output of a program in the namespace. */
  inside(program: string, ...args: string[]): string {
    return execFileSync("ip", ["netns", "exec", this.netns, program, ...args], { encoding: "utf8" });
  }

  /** Links, addresses and routes: for comparing before and after. */
  snapshot(): string {
    const text = [
      ["-o", "addr", "show"],
      ["-o", "link", "show"],
      ["route", "show", "table", "all"],
      ["-6", "route", "show", "table", "all"],
    ]
      .map((args) => this.ip(...args))
      .join("\n");
    // A device that was up once keeps its queueing discipline, whatever is done to it.
    return text.replace(/qlen \d+|qdisc \w+/g, "").replace(/expires \d+sec/g, "");
  }

  /** Starts a script of this repository in the namespace. `output` grows. */
  start(script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const child = spawn(
      "ip",
      ["netns", "exec", this.netns, process.execPath, "--import", "tsx", join(root, script), ...args],
      {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...env },
      },
    );
    this.#children.push(child);
    return new Running(child);
  }

  vpnd(...more: string[]): Running {
    return this.start("src/daemon/app/main.ts", [
      "--state-dir",
      this.stateDir,
      "--socket",
      this.socket,
      ...more,
    ]);
  }

  async readyVpnd(...more: string[]): Promise<Running> {
    const running = this.vpnd(...more);
    await running.said(/"msg":"ready"/);
    return running;
  }

  async server(port: number, ...nodes: string[]): Promise<Running> {
    const running = this.start("test/integration/support/tiny-server.ts", ["127.0.0.1", `${port}`, ...nodes]);
    await running.said(/ready/);
    return running;
  }

  connect(): Connection {
    return new Connection(`unix:${this.socket}`);
  }

  journal(): string | undefined {
    try {
      return readFileSync(join(this.stateDir, "journal.json"), "utf8");
    } catch {
      return undefined;
    }
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }
    execFileSync("ip", ["netns", "del", this.netns]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A started program. `ip netns exec` becomes the program, so its process is the child. */
export class Running {
  output = "";
  errors = "";
  readonly child: ChildProcess;
  #closed = false;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.on("data", (data: Buffer) => {
      this.output += data.toString();
    });
    child.stderr?.on("data", (data: Buffer) => {
      this.errors += data.toString();
    });
    child.once("close", () => {
      this.#closed = true;
    });
  }

  /** Waits until the output matches. */
  async said(pattern: RegExp): Promise<void> {
    await until(() => pattern.test(this.output) || this.child.exitCode !== null, `output ${pattern}`);
    if (!pattern.test(this.output)) throw new Error(`ended without ${pattern}: ${this.output}${this.errors}`);
  }

  /** Waits for its end, and for all that it has said. @returns exit code, or the signal that ended it */
  async ended(): Promise<number | string> {
    await until(() => this.#closed, "end of the program");
    return this.child.exitCode ?? this.child.signalCode ?? "";
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | string> {
    this.child.kill(signal);
    return this.ended();
  }
}

/** Waits for a condition; the deadline only bounds a failing test. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 90_000,
): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms for: ${what}`);
    await delay(25);
  }
}
