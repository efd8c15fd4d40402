/**
 * `npm run bench -- soak [--minutes N] [--mbit N] [--json]`: a mesh at work for minutes, to see whether anything grows. Three vpnd and a
 * guest that leaves and joins, all behind NATs of their own; one TCP stream all the time, commands, one change of the key. Prints a
 * table and writes it into docs/limits.md (with --json only prints what was measured); fails when something is not flat.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { waitFor } from "../test/lab/command.js";
import { Lab } from "../test/lab/lab.js";
import type { Running } from "../test/lab/machine.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../test/lab/programs.js";
import { reachable } from "../test/lab/traffic.js";
import { growth, type Sample, settled } from "../test/sim/growth.js";
import { machineLine, writeLimits } from "./limits-page.js";
import { status } from "./process-cost.js";
import { renderSoak, type SoakRow } from "./soak-page.js";
import { median } from "./statistics.js";

const sampleMs = 10_000;
const guestMs = 20_000;
const commandMs = 5000;
/** Above it there is no bound in effect. */
const fullLoadMbit = 5000;
const network = "10.96.0";
const guestIp = `${network}.4`;

/**
 * What the trend may rise by in the last two thirds and still be called flat, for each kind of thing. Memory: V8 lets its heap
 * grow by some MiB before it collects it as a whole.
 */
const allowed = { rssBytes: 8 * 2 ** 20, descriptors: 0.9, threads: 0.9 } as const;
type Kind = keyof typeof allowed;
const kinds: readonly Kind[] = ["rssBytes", "descriptors", "threads"];

interface Subject {
  name: string;
  pid: number;
  samples: Record<Kind, Sample[]>;
}

interface Scene {
  subjects: Subject[];
  guestSubject: Subject;
  stay: [Daemon, Daemon, Daemon];
  guest: Daemon;
  iex: string;
  keys: [string, string];
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean", default: false },
      minutes: { type: "string", default: "10" },
      mbit: { type: "string", default: "200" },
    },
  });
  const [minutes, mbit] = [Number(values.minutes), Number(values.mbit)];
  if (!(minutes >= 2 && minutes <= 1440)) throw new Error("--minutes must be a number from 2 to 1440");
  if (!(mbit >= 1 && mbit <= 10_000)) throw new Error("--mbit must be a number from 1 to 10000");
  const lab = await Lab.create("bench-soak");
  try {
    const scene = await build(lab);
    const done = await soak(scene, minutes * 60_000, mbit);
    const rows = [...scene.subjects, scene.guestSubject].flatMap(rowsOf);
    const results = { minutes, mbit, ...done, rows };
    if (values.json) process.stdout.write(`${JSON.stringify({ schema: "bench.soak/v1", ...results })}\n`);
    else {
      const section = renderSoak(results, headline());
      writeLimits(mbit > fullLoadMbit ? "soak at full load" : "soak", section);
      process.stdout.write(section);
    }
    const grown = rows.filter((row) => row.growth > row.allowed);
    if (grown.length > 0) {
      throw new Error(`not flat: ${grown.map((row) => `${row.name} ${row.kind}`).join(", ")}`);
    }
  } catch (error) {
    lab.markFailed(error);
    throw error;
  } finally {
    await lab.close();
  }
}

function headline(): string {
  const { date, machine, kernel, node } = machineLine();
  return `${date}, ${machine}, ${kernel}, ${node}. Other programs ran on the machine at the same time.`;
}

async function build(lab: Lab): Promise<Scene> {
  const serverHost = await lab.publicHost("server");
  const server = await iexd(serverHost);
  const iex = `${serverHost.address}:${iexPort}`;
  const node = async (name: string) =>
    vpnd(await lab.hostBehind(name, await lab.router(`r${name}`, "port-restricted")));
  const stay: Scene["stay"] = [await node("a"), await node("b"), await node("c")];
  const guest = await node("g");
  const keys: Scene["keys"] = [await pskGenerate(), await pskGenerate()];
  for (const [index, daemon] of stay.entries()) {
    await daemon.join({ iex, psk: keys[0], vip: `${network}.${index + 1}/24` });
  }
  for (const daemon of stay) {
    for (const index of stay.keys())
      if (stay[index] !== daemon) await daemon.peerUp(`${network}.${index + 1}`);
  }
  const subject = (name: string, { pid }: Running): Subject => ({
    name,
    pid,
    samples: { rssBytes: [], descriptors: [], threads: [] },
  });
  const [a, b, c] = stay;
  const subjects = [
    subject("vpnd that sends", a.program),
    subject("vpnd that receives", b.program),
    subject("vpnd without traffic", c.program),
    subject("iexd", server),
  ];
  const guestSubject = subject("vpnd of the guest", guest.program);
  return { subjects, guestSubject, stay, guest, iex, keys };
}

async function soak(scene: Scene, ms: number, mbit: number) {
  const startedAt = performance.now();
  const passed = () => performance.now() - startedAt;
  const [a, b] = scene.stay;
  const receiver = b.host.spawn("iperf3", "iperf3", ["-s", "-1"]);
  await b.host.listening(receiver, "tcp", 5201);
  const options = ["-t", String(Math.round(ms / 1000)), "-b", `${mbit}M`, "-C", "cubic", "-i", "10", "-J"];
  const sender = a.host.spawn("iperf3", "iperf3", ["-c", `${network}.2`, ...options]);
  const counts = { commands: 0, guestRounds: 0, keyChanges: 0 };
  const every = async (interval: number, step: () => Promise<void> | void): Promise<void> => {
    for (let next = 0; next < ms; next += interval) {
      if (passed() > next) next = Math.floor(passed() / interval) * interval;
      await delay(Math.max(0, next - passed()));
      await step();
    }
  };
  await Promise.all([
    every(sampleMs, () => {
      for (const subject of scene.subjects) sample(subject, passed() / 1000);
      const [first] = scene.subjects;
      const rss = (first?.samples.rssBytes.at(-1)?.value ?? 0) / 2 ** 20;
      process.stderr.write(`# ${(passed() / 1000).toFixed(0)} s: ${first?.name}: ${rss.toFixed(1)} MiB\n`);
    }),
    every(guestMs, async () => {
      await visit(scene, counts.keyChanges);
      counts.guestRounds += 1;
      // Always in the same state: what it has while it is in the mesh is not what it keeps.
      sample(scene.guestSubject, passed() / 1000);
    }),
    every(commandMs, async () => {
      const daemon = scene.stay[counts.commands % 3];
      for (const args of [["status"], ["peers"], ["stats"], ["psk", "status"]]) {
        await daemon?.json(args);
        counts.commands += 1;
      }
    }),
    // Early enough that what it makes once is not taken for growth, and the rounds after it count.
    delay(ms / 5).then(async () => {
      for (const daemon of scene.stay) {
        await daemon.ok(["psk", "set", "--psk-file", "-", "--grace", "1h"], { input: `${scene.keys[1]}\n` });
      }
      counts.keyChanges += 1;
    }),
  ]);
  await waitFor(() => sender.code !== undefined, 30_000, "the TCP stream ends");
  if (sender.code !== 0) throw new Error(`the TCP stream broke: ${sender.log.slice(-500)}`);
  return { ...counts, ...trafficOf(sender.log) };
}

/** The guest joins with the newest key, is reached, leaves, and is forgotten. */
async function visit({ guest, stay, iex, keys }: Scene, key: number): Promise<void> {
  const [a] = stay;
  await guest.join({ iex, psk: keys[key] ?? keys[0], vip: `${guestIp}/24` });
  await a.peerUp(guestIp);
  await reachable(a.host, guestIp);
  await guest.ok(["leave"]);
  await a.peerGone(guestIp, 60_000);
  // Whoever leaves gives up its node key, so that the others have to let go of it too.
  for (const daemon of stay) await daemon.ok(["peer", "remove", guestIp]);
}

function sample(subject: Subject, at: number): void {
  const { pid, samples } = subject;
  samples.rssBytes.push({ at, value: status(pid, "VmRSS") * 1024 });
  samples.descriptors.push({ at, value: readdirSync(join("/proc", String(pid), "fd")).length });
  samples.threads.push({ at, value: status(pid, "Threads") });
}

function rowsOf({ name, samples }: Subject): SoakRow[] {
  return kinds.map((kind) => {
    const counted = settled(samples[kind]);
    const values = counted.map((one) => one.value);
    return {
      name,
      kind,
      first: samples[kind][0]?.value ?? Number.NaN,
      median: median(values),
      largest: Math.max(...values),
      growth: growth(counted),
      allowed: allowed[kind],
    };
  });
}

/** Bits a second: all the time, and in the worst 10 s. */
function trafficOf(log: string): { meanBps: number; worstBps: number } {
  const report: {
    intervals: { sum: { bits_per_second: number; seconds: number } }[];
    end: { sum_received: { bits_per_second: number } };
  } = JSON.parse(log);
  const whole = report.intervals.filter(({ sum }) => sum.seconds > 5);
  return {
    meanBps: report.end.sum_received.bits_per_second,
    worstBps: Math.min(...whole.map(({ sum }) => sum.bits_per_second)),
  };
}
