import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Output } from "./app/context.js";
import { runCommandLine } from "./app/run.js";
import { dial } from "./io/api.js";
import { ownVersion } from "./io/own-version.js";
import { secretFiles } from "./io/secret-files.js";

const interruptedExit = 130;

/** A terminal's width and colours, or none of them for a pipe. */
function output(stream: NodeJS.WriteStream): Output {
  const terminal = stream.isTTY === true;
  const capable = terminal && process.env.TERM !== "dumb";
  return {
    write: (text) => void stream.write(text),
    drained: async () => {
      if (stream.writableNeedDrain) await once(stream, "drain");
    },
    get look() {
      return {
        columns: terminal ? stream.columns : undefined,
        colour: capable && (process.env.NO_COLOR ?? "") === "",
      };
    },
    interactive: capable,
  };
}

// A reader that has seen enough, as in `vpnctl peers | head -1`, is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
process.stderr.on("error", () => {});

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (interrupt.signal.aborted) process.exit(interruptedExit);
    interrupt.abort();
  });
}

process.exitCode = await runCommandLine(process.argv.slice(2), {
  out: output(process.stdout),
  err: output(process.stderr),
  env: process.env,
  signal: interrupt.signal,
  version: ownVersion(),
  files: secretFiles,
  now: () => new Date(),
  random: (bytes) => randomBytes(bytes),
  dial,
});
