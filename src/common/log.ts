import { type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Names under which a secret could reach a log by mistake. */
const secretNames = ["psk", "nodeSeed", "secrets", "password", "token"];

/**
 * A JSON line for each event on standard output: `level` (word), `time` (RFC 3339), `program`, `msg`, and fields of the event;
 * `err` for errors. Secrets by their usual names are blacked out, as a second line of defence.
 * Setting its `level` sets that of its children too.
 */
export function makeLogger(program: string, level: string): Logger {
  const output = pino.destination({ dest: 1, sync: true });
  // A reader of the log that goes away must not take the program with it.
  output.on("error", () => {});
  const children = new Set<WeakRef<Logger>>();
  const log = pino(
    {
      level,
      onChild: (child: Logger) => {
        for (const known of children) if (known.deref() === undefined) children.delete(known);
        children.add(new WeakRef(child));
      },
      base: { program },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`]), censor: "[secret]" },
    },
    output,
  );
  // A child has a level of its own, taken over when it is made, and tells the same listeners.
  log.on("level-change", (changed, _value, _before, _valueBefore, instance) => {
    if (instance !== log) return;
    for (const child of children) {
      const one = child.deref();
      if (one !== undefined) one.level = changed;
    }
  });
  return log;
}
