/** One network namespace and the processes that a lab runs in it. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { must, type Result, type RunOptions, run, waitFor } from "./command.js";

/** A program that goes on running; its output is in `logFile`. */
export class Running {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #code: number | undefined;

  constructor(
    readonly name: string,
    readonly logFile: string,
    child: ChildProcess,
  ) {
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const end = (code: number): void => {
        this.#code = code;
        resolve(code);
      };
      child.once("exit", (code, signal) => end(code ?? (signal === "SIGKILL" ? 137 : 143)));
      child.once("error", () => end(127));
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} was not started`);
    return this.#child.pid;
  }

  /** Exit code, or undefined while it runs. */
  get code(): number | undefined {
    return this.#code;
  }

  get log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, "utf8") : "";
  }

  get stdin(): NodeJS.WritableStream {
    if (this.#child.stdin === null) throw new Error(`${this.name} has no standard input`);
    return this.#child.stdin;
  }

  /** Resolves with the exit code. */
  ended(): Promise<number> {
    return this.#ended;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#code === undefined) this.#child.kill(signal);
  }

  /** SIGTERM, after the deadline SIGKILL and an error: a program that does not end is a fault to be seen. */
  async stop(deadlineMs = 15_000): Promise<number> {
    this.kill("SIGTERM");
    try {
      await waitFor(() => this.#code !== undefined, deadlineMs, `${this.name} ends after SIGTERM`);
    } catch (error) {
      this.kill("SIGKILL");
      await this.#ended;
      throw error;
    }
    return this.ended();
  }

  /** Fails early, with the log, when the program ends before the condition holds. */
  async until<T>(
    condition: () => Promise<T | false | undefined> | T | false | undefined,
    deadlineMs: number,
    what: string,
  ): Promise<T> {
    return waitFor(
      async () => {
        const value = await condition();
        if (value !== false && value !== undefined) return value;
        if (this.#code !== undefined)
          throw new Error(`${this.name} ended with ${this.#code} before ${what}\n${this.log.slice(-4000)}`);
        return undefined;
      },
      deadlineMs,
      what,
      () => this.log.slice(-2000),
    );
  }
}

export class Machine {
  readonly #running = new Set<Running>();
  readonly #counts = new Map<string, number>();

  constructor(
    readonly name: string,
    /** Name of the network namespace. */
    readonly netns: string,
    /** For state, sockets and the like; removed with the lab. */
    readonly folder: string,
    readonly logFolder: string,
  ) {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  }

  async create(): Promise<void> {
    await must("ip", ["netns", "add", this.netns]);
    await this.ip("link", "set", "lo", "up");
    for (const scope of ["all", "default"]) {
      await this.sysctl(`net.ipv6.conf.${scope}.accept_dad`, "0");
      await this.sysctl(`net.ipv6.conf.${scope}.accept_ra`, "0");
    }
  }

  async ip(...args: string[]): Promise<string> {
    return must("ip", ["-n", this.netns, ...args]);
  }

  async sysctl(key: string, value: string): Promise<void> {
    await must("ip", ["netns", "exec", this.netns, "sysctl", "-q", "-w", `${key}=${value}`]);
  }

  async nft(rules: string): Promise<void> {
    await must("ip", ["netns", "exec", this.netns, "nft", "-f", "-"], { input: rules });
  }

  /** Runs a command inside; never rejects for its exit code. */
  exec(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return run("ip", ["netns", "exec", this.netns, command, ...args], options);
  }

  /** Starts a program inside. `ip netns exec` becomes the program, so the PID is the program's own. */
  spawn(
    name: string,
    command: string,
    args: readonly string[],
    options: { env?: Readonly<Record<string, string>>; stdin?: boolean } = {},
  ): Running {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    const logFile = join(this.logFolder, `${this.name}-${name}${count === 1 ? "" : `-${count}`}.log`);
    const log = openSync(logFile, "a");
    const child = spawn("ip", ["netns", "exec", this.netns, command, ...args], {
      stdio: [options.stdin === true ? "pipe" : "ignore", log, log],
      env: { ...process.env, ...options.env },
    });
    closeSync(log);
    const running = new Running(`${this.name}/${name}`, logFile, child);
    this.#running.add(running);
    return running;
  }

  /** Waits until something in the namespace listens on the port. */
  async listening(program: Running, protocol: "tcp" | "udp", port: number): Promise<void> {
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    const state = protocol === "tcp" ? "0A" : "07";
    const pattern = new RegExp(`^\\s*\\d+: [0-9A-F]+:${hex} [0-9A-F]+:0000 ${state} `, "m");
    await program.until(
      async () => {
        const tables = await Promise.all(
          [protocol, `${protocol}6`].map((table) => this.exec("cat", [`/proc/net/${table}`])),
        );
        return tables.some((table) => pattern.test(table.stdout));
      },
      20_000,
      `${program.name} listens on ${protocol} port ${port}`,
    );
  }

  /** Ends everything started here, politely first. */
  async stopAll(): Promise<void> {
    const alive = [...this.#running].filter((running) => running.code === undefined);
    await Promise.all(
      alive.map(async (running) => {
        running.kill("SIGTERM");
        const timer = setTimeout(() => running.kill("SIGKILL"), 5_000);
        await running.ended();
        clearTimeout(timer);
      }),
    );
  }

  /** For exit handlers. */
  killAll(): void {
    for (const running of this.#running) running.kill("SIGKILL");
  }
}
