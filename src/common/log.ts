import { type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Names under which a secret could reach a log by mistake. */
const secretNames = ["psk", "nodeSeed", "secrets", "password", "token"];

/**
 * A JSON line for each event on standard output: `level` (word), `time` (RFC 3339), `program`, `msg`, and fields of the event;
 * `err` for errors. Secrets by their usual names are blacked out, as a second line of defence.
 */
export function makeLogger(program: string, level: string): Logger {
  const output = pino.destination({ dest: 1, sync: true });
  // A reader of the log that goes away must not take the program with it.
  output.on("error", () => {});
  return pino(
    {
      level,
      base: { program },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`]), censor: "[secret]" },
    },
    output,
  );
}
