import type { CommandContext } from "@stricli/core";
import type { Globals } from "../core/globals.js";
import type { Look } from "../core/look.js";
import type { Api } from "../io/api.js";
import type { SecretFiles } from "../io/secret-files.js";

/** Where a command writes. */
export interface Output {
  write(text: string): void;
  /** Resolves when somebody has read enough that more may be written; absent: at once. */
  drained?(): Promise<void>;
  readonly look: Look;
  /** A terminal that understands cursor movement: `--watch` redraws there. */
  readonly interactive: boolean;
}

/** Everything a command touches; a test puts its own in place. */
export interface CtlContext extends CommandContext {
  readonly globals: Globals;
  /** Data, and notes after it. */
  readonly out: Output;
  /** Warnings and errors. */
  readonly err: Output;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  readonly version: string;
  /** Names of all commands, two-word ones with a space. */
  readonly commandNames: readonly string[];
  readonly files: SecretFiles;
  now(): Date;
  random(bytes: number): Uint8Array;
  dial(): Promise<Api>;
  /** What the program exits with, set once by the command's wrapper. */
  finish(exitCode: number): void;
}

/** A command: pure but for its context. Gives the exit code, or throws a VpnError. */
export type CtlCommand<F, A extends readonly unknown[]> = (
  context: CtlContext,
  flags: F,
  ...args: A
) => Promise<number>;

/** Options of a call that answers once. */
export function unaryOptions(context: CtlContext): { timeoutMs: number; signal: AbortSignal } {
  return { timeoutMs: context.globals.timeoutSeconds * 1000, signal: context.signal };
}

/** Runs `use` with a connection that is closed afterwards. */
export async function withApi<T>(context: CtlContext, use: (api: Api) => Promise<T>): Promise<T> {
  const api = await context.dial();
  try {
    return await use(api);
  } finally {
    api.close();
  }
}

/** A warning on the program's own doings; never on standard output. */
export function warn(context: CtlContext, text: string): void {
  context.err.write(`vpnctl: warning: ${text}\n`);
}
