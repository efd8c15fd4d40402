/**
 * `npm run bench -- gateway`: the Internet by way of a gateway, between own ends: TCP both ways and round trips, without and with TLS, and
 * with one device for all clients, and with two workers; then many clients at once in one process, each of which pings a host of the
 * Internet, with a device each and with one for all, and with two workers. Under ten minutes.
 *
 *   --runs N       rounds (3)
 *   --seconds S    of each TCP test (3)
 *   --clients N    at once (1000); 0 leaves them out
 *   --json         prints the figures and leaves the pages alone; so do fewer than 3 rounds
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { must } from "../test/lab/command.js";
import type { GatewayClientsReport } from "../test/lab/gateway-clients.js";
import { internet4, internetHost, internetRoutes } from "../test/lab/internet-host.js";
import { type Host, Lab, repository } from "../test/lab/lab.js";
import { Daemon, vpnd } from "../test/lab/programs.js";
import { reachable } from "../test/lab/traffic.js";
import { roundTrips, tcp } from "./iperf.js";
import { machineLine, writeLimits } from "./limits-page.js";
import { table, writeSection } from "./performance-page.js";
import { costs, status } from "./process-cost.js";
import { median } from "./statistics.js";

type Isolation = "tun" | "shared";

/** How the gateway is started. */
interface Way {
  tls: boolean;
  isolation: Isolation;
  workers: number;
}

interface Run extends Way {
  /** Bits a second. */
  up: number;
  down: number;
  /** Seconds. */
  ping: number;
}

interface Crowd extends GatewayClientsReport, Omit<Way, "tls"> {
  clients: number;
  /** Bytes of the gateway's vpnd that one client takes. */
  bytesEach: number;
  /** Milliseconds of processor time for each client, from its handshake to its end. */
  cpuMsEach: number;
}

interface Scene {
  gateway: Daemon;
  client: Daemon;
  web: Host;
  crowd: Host;
}

/** The original's, by the same tests on such a machine. */
const original = { up: 82e6, down: 80e6, ping: 0.0013 };
const roundsForPage = 3;
const ways: readonly Way[] = [
  { tls: false, isolation: "tun", workers: 1 },
  { tls: true, isolation: "tun", workers: 1 },
  { tls: false, isolation: "shared", workers: 1 },
  { tls: false, isolation: "tun", workers: 2 },
  { tls: false, isolation: "shared", workers: 2 },
];
const crowdWays = ways.filter(({ tls }) => !tls);
const port = 8443;

async function build(lab: Lab): Promise<Scene> {
  const host = await lab.publicHost("gw");
  const [cert, key, config] = ["cert.pem", "key.pem", "vpnd.toml"].map((name) => join(host.folder, name));
  if (cert === undefined || key === undefined || config === undefined) throw new Error("no names");
  const subject = ["-subj", "/CN=gateway", "-addext", `subjectAltName=IP:${host.address}`];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key];
  await must("openssl", ["req", "-x509", ...curve, "-out", cert, "-days", "2", ...subject]);
  process.env.SSL_CERT_FILE = cert;
  writeFileSync(config, `[gateway]\ntls_cert = "${cert}"\ntls_key = "${key}"\n`);
  const gateway = new Daemon(host);
  const client = await vpnd(await lab.publicHost("client"));
  return { gateway, client, web: await internetHost(lab), crowd: await lab.publicHost("crowd") };
}

async function start(
  { gateway }: Scene,
  { tls, isolation, workers }: Way,
  maxClients = 10_000,
): Promise<string> {
  const config = ["--config", join(gateway.host.folder, "vpnd.toml")];
  await gateway.start(tls ? config : []);
  const options = [
    "--listen",
    `0.0.0.0:${port}`,
    "--max-clients",
    String(maxClients),
    "--isolation",
    isolation,
    "--workers",
    String(workers),
  ];
  await gateway.ok(["gateway", "start", "--open", ...options]);
  return `${tls ? "wss" : "ws"}://${gateway.host.address}:${port}/`;
}

async function measure(scene: Scene, way: Way, seconds: number): Promise<Run> {
  const { gateway, client, web } = scene;
  const url = await start(scene, way);
  await client.ok(["join", "net", "--gateway", url, "--route", internetRoutes]);
  await reachable(client.host, internet4);
  const ends = { a: client.host, b: web };
  const { average: ping } = await roundTrips(ends, internet4, 1);
  const up = (await tcp(ends, internet4, seconds)).bps;
  const down = (await tcp(ends, internet4, seconds, { reverse: true })).bps;
  await client.ok(["leave", "net"]);
  await gateway.ok(["gateway", "stop"]);
  await gateway.stop();
  return { ...way, up, down, ping };
}

async function many(scene: Scene, clients: number, way: Way): Promise<Crowd> {
  const { gateway, crowd } = scene;
  // One more is too many.
  const url = await start(scene, way, clients);
  const { pid } = gateway.program;
  const before = status(pid, "VmRSS") * 1024;
  const program = ["--import", join(repository, "node_modules/tsx/dist/loader.mjs")];
  const args = [...program, join(repository, "test/lab/gateway-clients.ts"), url, String(clients), internet4];
  let stdout = "";
  const [used] = await costs([pid], async () => {
    const result = await crowd.exec(process.execPath, args, { timeoutMs: 180_000 });
    if (result.code !== 0) throw new Error(result.stderr);
    stdout = result.stdout;
  });
  const report = JSON.parse(stdout) as GatewayClientsReport;
  if (report.beyond !== 1013) throw new Error(`there was room for one more: ${stdout}`);
  const bytesEach = (status(pid, "VmHWM") * 1024 - before) / clients;
  const minutes = report.seconds / 60;
  const cpuMsEach = (((used?.cpuSecondsPerMinute ?? Number.NaN) * minutes) / clients) * 1000;
  await gateway.ok(["gateway", "stop"]);
  await gateway.stop();
  return { ...report, isolation: way.isolation, workers: way.workers, clients, bytesEach, cpuMsEach };
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "3" },
      seconds: { type: "string", default: "3" },
      clients: { type: "string", default: "1000" },
      json: { type: "boolean", default: false },
    },
  });
  const [rounds, seconds, clients] = [Number(values.runs), Number(values.seconds), Number(values.clients)];
  if (!(rounds > 0 && seconds > 0 && clients >= 0)) throw new Error("options must be numbers");
  const lab = await Lab.create("bench-gateway");
  try {
    const scene = await build(lab);
    const runs: Run[] = [];
    for (let round = 1; round <= rounds; round++) {
      process.stderr.write(`# round ${round}\n`);
      for (const way of ways) runs.push(await measure(scene, way, seconds));
    }
    const crowds: Crowd[] = [];
    for (const way of clients === 0 ? [] : crowdWays) crowds.push(await many(scene, clients, way));
    if (values.json) {
      process.stdout.write(
        `${JSON.stringify({ schema: "bench.gateway/v1", ...machineLine(), runs, crowds })}\n`,
      );
      return;
    }
    const texts = [speeds(runs, rounds, seconds), ...(crowds.length === 0 ? [] : [crowdText(crowds)])];
    process.stdout.write(`${texts.join("\n\n")}\n`);
    if (rounds < roundsForPage || crowds.length === 0) return;
    writeSection("gateway", texts[0] ?? "");
    writeLimits("gateway", texts[1] ?? "");
    process.stderr.write("# written: docs/performance.md, docs/limits.md\n");
  } finally {
    await lab.close();
  }
}

function speeds(runs: readonly Run[], rounds: number, seconds: number): string {
  const { date, machine, kernel, node } = machineLine();
  const rows = ways.map(({ tls, isolation, workers }) => {
    const same = runs.filter(
      (run) => run.tls === tls && run.isolation === isolation && run.workers === workers,
    );
    const of = (what: (run: Run) => number): number => median(same.map(what));
    const [up, down, ping] = [of((run) => run.up), of((run) => run.down), of((run) => run.ping)];
    return [
      [
        tls ? "`wss://`" : "`ws://`",
        ...(isolation === "shared" ? ["`--isolation shared`"] : []),
        ...(workers > 1 ? [`\`--workers ${workers}\``] : []),
      ].join(", "),
      ...[up, down].map((bps) => (bps / 1e6).toFixed(0)),
      (up / original.up).toFixed(1),
      (down / original.down).toFixed(1),
      (ping * 1000).toFixed(2),
    ];
  });
  rows.push([
    "the original, `ws://`",
    ...[original.up, original.down].map((bps) => (bps / 1e6).toFixed(0)),
    "1",
    "1",
    (original.ping * 1000).toFixed(2),
  ]);
  const head = ["", ">up Mbit/s", ">down Mbit/s", ">up/original", ">down/original", ">ping ms"];
  return [
    `Measured by \`npm run bench -- gateway --runs ${rounds} --seconds ${seconds}\` (as root). ${date}, ${machine}, ${kernel}, ${node}.`,
    "",
    "Client, gateway, its NAT and the host of the Internet on one machine; medians. The original's figures are of an earlier day.",
    "",
    table(head, rows),
  ].join("\n");
}

function crowdText(crowds: readonly Crowd[]): string {
  const { date, machine, kernel, node } = machineLine();
  const rows = crowds.map((crowd) => [
    (crowd.isolation === "tun" ? "a device each" : "`--isolation shared`") +
      (crowd.workers > 1 ? `, \`--workers ${crowd.workers}\`` : ""),
    ...[crowd.connected, crowd.answered, crowd.same].map(String),
    (crowd.bytesEach / 1024).toFixed(0),
    crowd.cpuMsEach.toFixed(1),
    crowd.seconds.toFixed(0),
  ]);
  const [{ clients } = { clients: 0 }] = crowds;
  return [
    `Measured by \`npm run bench -- gateway\`. ${date}, ${machine}, ${kernel}, ${node}.`,
    "",
    `${clients} clients at once, which run on the same machine: each pings a host of the Internet until it has an answer; half of them leave ` +
      "and come back; one more is told that there is no room (1013). Memory: what the gateway's vpnd takes at the most, for each client; processor: of vpnd, from a client's handshake to its end.",
    "",
    table(
      [
        "",
        ">connected",
        ">answered",
        ">came back to their addresses",
        ">KiB each",
        ">ms each",
        ">seconds in all",
      ],
      rows,
    ),
  ].join("\n");
}
