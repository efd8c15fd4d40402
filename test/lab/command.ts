/** Runs one command to its end, and waits on conditions. */
import { execFile, spawnSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string;
  /** Milliseconds before the command is killed; default 180000. */
  timeoutMs?: number;
  env?: Readonly<Record<string, string>>;
}

/** Never rejects for a bad exit code; 124 stands for a time-out, 127 for a command that cannot be started. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      {
        timeout: options.timeoutMs ?? 180_000,
        killSignal: "SIGKILL",
        maxBuffer: 64 << 20,
        env: { ...process.env, ...options.env },
      },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else if (error.killed) resolve({ code: 124, stdout, stderr: `${stderr}\n(killed: time is up)` });
        else if (typeof error.code === "number") resolve({ code: error.code, stdout, stderr });
        else resolve({ code: error.signal ? 128 : 127, stdout, stderr: `${stderr}\n${error.message}` });
      },
    );
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input ?? "");
  });
}

/** Like `run`, but a bad exit code is an error that shows what the command said. */
export async function must(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await run(command, args, options);
  if (result.code !== 0)
    throw new Error(`${command} ${args.join(" ")}: exit ${result.code}\n${result.stderr}${result.stdout}`);
  return result.stdout;
}

/** For exit handlers, in which nothing can be awaited. */
export function runSync(command: string, args: readonly string[]): string {
  return spawnSync(command, [...args], { encoding: "utf8", timeout: 10_000 }).stdout ?? "";
}

/** A deadline is what a quiet machine needs at the very most; one that is busy otherwise gets more. Only what fails waits that long. */
const patience = 3;

/**
 * Polls until the condition gives something other than false or undefined, and returns it.
 * The error at the deadline holds the last value of `describe`, so that a failing test shows how far things came.
 */
export async function waitFor<T>(
  condition: () => Promise<T | false | undefined> | T | false | undefined,
  deadlineMs: number,
  what: string,
  describe?: () => unknown,
): Promise<T> {
  const start = performance.now();
  const end = start + deadlineMs * patience;
  for (;;) {
    const asked = performance.now();
    const value = await condition();
    if (value !== false && value !== undefined) return value;
    if (performance.now() > end) {
      const last = describe === undefined ? "" : `; last seen: ${JSON.stringify(await describe())}`;
      const seconds = Math.round((performance.now() - start) / 1000);
      throw new Error(`not within ${seconds} s: ${what}${last}`);
    }
    // What takes long to ask, as a command does, is asked less often: those who are waited for need the processors.
    await delay(Math.min(Math.max(100, performance.now() - asked), 500));
  }
}
