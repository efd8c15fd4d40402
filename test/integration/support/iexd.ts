/** A real iexd on loopback, for tests: spawned, listening on ports of the kernel's choice, and its log read. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const root = new URL("../../..", import.meta.url).pathname;
const startDeadlineMs = 60_000;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export class IexdProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  readonly #lines: Record<string, unknown>[] = [];
  readonly #waiters = new Set<() => void>();
  #stdout = "";
  #stderr = "";
  /** Bound UDP endpoints, in the order of `--listen`. */
  listen: string[] = [];
  /** Bound metrics endpoint. */
  metrics = "";

  private constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, ["--import", "tsx", "src/iex/app/main.ts", ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error("no pipes to iexd");
    createInterface({ input: stdout }).on("line", (line) => this.#read(line));
    stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.#ended = once(this.#child, "close").then(([code, signal]) => ({
      code,
      signal,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
  }

  /** Runs it to its end, for starts that must fail. */
  static run(...args: string[]): Promise<Ended> {
    return new IexdProcess(args).ended();
  }

  /** Starts it and waits until it is ready. Without `--listen` among the arguments: on 127.0.0.1. */
  static async start(...args: string[]): Promise<IexdProcess> {
    const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
    const process = new IexdProcess([...listen, "--metrics", "127.0.0.1:0", ...args]);
    const ready = await process.logged((line) => line.msg === "ready", startDeadlineMs);
    if (Array.isArray(ready.listen)) process.listen = ready.listen.filter((at) => typeof at === "string");
    process.metrics = String(ready.metrics);
    return process;
  }

  get server(): string {
    return this.listen[0] ?? "";
  }

  /** Lines of the log so far. */
  get lines(): readonly Record<string, unknown>[] {
    return this.#lines;
  }

  /** The first line of the log for which `wanted` holds, past or to come. */
  async logged(
    wanted: (line: Record<string, unknown>) => boolean,
    deadlineMs: number,
  ): Promise<Record<string, unknown>> {
    const deadline = AbortSignal.timeout(deadlineMs);
    for (;;) {
      const line = this.#lines.find(wanted);
      if (line !== undefined) return line;
      const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (ended || deadline.aborted) {
        throw new Error(`iexd ${ended ? "ended" : "did not log it"}\n${this.#stdout}${this.#stderr}`);
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiters.delete(wake);
          deadline.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiters.add(wake);
        deadline.addEventListener("abort", wake);
        this.#child.once("close", wake);
      });
    }
  }

  /** Value of one series of /metrics, such as `iexd_nodes` or `iexd_datagrams_total{direction="in",result="full"}`. */
  async metric(series: string): Promise<number | undefined> {
    const text = await (await fetch(`http://${this.metrics}/metrics`)).text();
    const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  }

  /** Until the series has at least this value. */
  async metricReaches(series: string, least: number, deadlineMs: number): Promise<void> {
    const deadline = Date.now() + deadlineMs;
    let value: number | undefined;
    do {
      value = await this.metric(series);
      if (value !== undefined && value >= least) return;
    } while (Date.now() < deadline);
    throw new Error(`${series} is ${value}, not ${least}`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  /** Ends it, whatever became of it. */
  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  #read(line: string): void {
    this.#stdout += `${line}\n`;
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === "object" && value !== null) this.#lines.push({ ...value });
    } catch {
      // Not a line of the log: kept in the output for the test's message.
    }
    for (const waiter of [...this.#waiters]) waiter();
  }
}
