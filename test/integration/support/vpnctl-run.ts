import { runCommandLine } from "../../../src/ctl/app/run.js";
import { dial } from "../../../src/ctl/io/api.js";
import { secretFiles } from "../../../src/ctl/io/secret-files.js";
import { cannedTime } from "./vpnctl-server.js";

export interface Terminal {
  readonly columns?: number;
  readonly colour?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly abort?: AbortController;
  /** Called for each write to standard output. */
  readonly onOut?: (text: string) => void;
}

export interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs vpnctl in this process, with collected output and a fixed clock. Without columns its output is a pipe. */
export async function vpnctl(argv: readonly string[], terminal: Terminal = {}): Promise<Result> {
  let out = "";
  let err = "";
  const look = { columns: terminal.columns, colour: terminal.colour ?? false };
  const interactive = terminal.columns !== undefined;
  const code = await runCommandLine(argv, {
    out: {
      write: (text) => {
        out += text;
        terminal.onOut?.(text);
      },
      look,
      interactive,
    },
    err: {
      write: (text) => {
        err += text;
      },
      look,
      interactive,
    },
    env: terminal.env ?? {},
    signal: terminal.abort?.signal ?? new AbortController().signal,
    version: "0.1.0",
    files: secretFiles,
    now: () => new Date(cannedTime * 1000),
    random: (bytes) => new Uint8Array(bytes).fill(7),
    dial,
  });
  return { code, out, err };
}
