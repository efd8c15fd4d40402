/**
 * `npm run bench -- profile [--link veth] [--test tcp|tcpBack|smallPackets] [--seconds 4] [--lines 40] [--config TOML]`: where two vpnd spend
 * their time under load, by function. Needs perf. Prints; writes nothing.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { must } from "../test/lab/command.js";
import { findProgram } from "./contestants/contestant.js";
import { startVpnd } from "./contestants/vpnd.js";
import { smallPackets, tcp } from "./iperf.js";
import { answers, linkKinds, makePair } from "./pair.js";

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      link: { type: "string", default: "veth" },
      test: { type: "string", default: "tcp" },
      seconds: { type: "string", default: "4" },
      lines: { type: "string", default: "40" },
      config: { type: "string", default: "" },
    },
  });
  const link = linkKinds.find((kind) => kind === values.link);
  if (link === undefined) throw new Error(`--link must be one of ${linkKinds.join(", ")}`);
  if (!["tcp", "tcpBack", "smallPackets"].includes(values.test))
    throw new Error("--test must be tcp, tcpBack or smallPackets");
  const seconds = Number(values.seconds);
  const perf = findProgram("perf");
  if (perf === undefined || !(seconds > 0)) throw new Error("needs perf, and --seconds above 0");
  const pair = await makePair(link);
  try {
    const { address } = await startVpnd(pair, values.config);
    await answers(pair, address);
    const inside = await Promise.all(
      [pair.a, pair.b].map(({ netns }) => must("ip", ["netns", "pids", netns])),
    );
    const pids = inside.flatMap((text) => text.trim().split("\n"));
    const file = join(pair.lab.folder, "perf.data");
    const record = spawn(perf, ["record", "-q", "-F", "999", "-g", "-o", file, "-p", pids.join(",")]);
    const ended = once(record, "exit");
    const result =
      values.test === "smallPackets"
        ? await smallPackets(pair, address, seconds)
        : await tcp(pair, address, seconds, { reverse: values.test === "tcpBack" });
    record.kill("SIGINT");
    await ended;
    if (!existsSync(file)) throw new Error("perf recorded nothing; may it, here?");
    process.stdout.write(`${JSON.stringify(result)}\n`);
    const report = ["report", "-i", file, "--no-children", "-g", "none", "--percent-limit", "0.2", "--stdio"];
    const text = await must(perf, [...report, "--sort", "comm,dso,symbol"], { timeoutMs: 120_000 });
    const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
    const shown = lines
      .slice(0, Number(values.lines))
      .map((line) => line.replace(/(?:\s+-)+\s*$/, "").trimEnd());
    process.stdout.write(`${shown.join("\n")}\n`);
  } finally {
    await pair.lab.close();
  }
}
