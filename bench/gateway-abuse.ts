/**
 * `npm run bench -- gateway-abuse`: a gateway under attack, while an honest client pings a host of the Internet: connections without a token,
 * slow handshakes, packets that may not pass, and mutated messages of both protocols. About 15 minutes; changes no page.
 *
 *   --knocks N    connections without a token (10000)
 *   --slow N      handshakes that take for ever (2000)
 *   --frames N    mutated messages, in each protocol (1000000)
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { internet4, internetHost, internetRoutes } from "../test/lab/internet-host.js";
import { type Host, Lab, repository } from "../test/lab/lab.js";
import { type Daemon, vpnd } from "../test/lab/programs.js";
import { strays, watchStrays } from "../test/lab/strays.js";
import { ping, reachable } from "../test/lab/traffic.js";
import { status } from "./process-cost.js";

interface Attack {
  name: string;
  program: string;
  args: string[];
}

interface Outcome {
  name: string;
  said: unknown;
  /** Pings of the honest client. */
  sent: number;
  answered: number;
  /** Packets out of clients' devices, and those that should not have passed. */
  all: number;
  stray: number;
  /** Of vpnd, kilobytes resident. */
  before: number;
  after: number;
}

const port = 8080;
const hourMs = 3_600_000;

async function attack(
  gateway: Daemon,
  honest: Daemon,
  from: Host,
  { name, program, args }: Attack,
): Promise<Outcome> {
  const { pid } = gateway.program;
  const before = status(pid, "VmRSS");
  await watchStrays(gateway.host);
  const path = join(repository, "test/lab", program);
  const loader = join(repository, "node_modules/tsx/dist/loader.mjs");
  let over = false;
  const done = from
    .exec(process.execPath, ["--import", loader, path, ...args], { timeoutMs: hourMs })
    .finally(() => {
      over = true;
    });
  let [sent, answered] = [0, 0];
  while (!over) {
    const result = await ping(honest.host, internet4, { count: 20 });
    sent += result.sent;
    answered += result.received;
  }
  const { code, stdout, stderr } = await done;
  if (code !== 0) throw new Error(`${name}: ${stderr}`);
  const passed = await strays(gateway.host);
  return { name, said: JSON.parse(stdout), sent, answered, ...passed, before, after: status(pid, "VmRSS") };
}

async function user(gateway: Daemon, name: string): Promise<string> {
  return (await gateway.json<{ token: string }>(["gateway", "user", "add", name])).token;
}

async function run(lab: Lab, knocks: string, slow: string, frames: string): Promise<Outcome[]> {
  const gateway = await vpnd(await lab.publicHost("gw"));
  const honest = await vpnd(await lab.publicHost("honest"));
  const crowd = await lab.publicHost("crowd");
  await internetHost(lab);
  const url = `ws://${gateway.host.address}:${port}/`;
  const joinWith = async (token: string): Promise<void> => {
    const file = join(honest.host.folder, "token");
    writeFileSync(file, token, { mode: 0o600 });
    await honest.ok(["join", "net", "--gateway", url, "--token-file", file, "--route", internetRoutes]);
    await reachable(honest.host, internet4);
  };
  const [alice, mallory] = [await user(gateway, "alice"), await user(gateway, "mallory")];
  await gateway.ok(["gateway", "start", "--listen", `0.0.0.0:${port}`]);
  await joinWith(alice);
  const own = [url, mallory, internet4];
  const first = await attack(gateway, honest, crowd, {
    name: "own protocol",
    program: "gateway-abuse.ts",
    args: [...own, knocks, slow, frames],
  });
  await gateway.ok(["gateway", "stop"]);
  await gateway.ok(["gateway", "start", "--fanqiang", "--listen", `0.0.0.0:${port}`]);
  await reachable(honest.host, internet4);
  const second = await attack(gateway, honest, crowd, {
    name: "fanqiang",
    program: "fanqiang-clients.ts",
    args: [url, internet4, "0", frames],
  });
  return [first, second];
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      knocks: { type: "string", default: "10000" },
      slow: { type: "string", default: "2000" },
      frames: { type: "string", default: "1000000" },
    },
  });
  const lab = await Lab.create("bench-gateway-abuse");
  try {
    for (const outcome of await run(lab, values.knocks, values.slow, values.frames)) {
      process.stdout.write(`${JSON.stringify(outcome)}\n`);
      if (outcome.stray > 0) process.exitCode = 1;
    }
  } finally {
    await lab.close();
  }
}
