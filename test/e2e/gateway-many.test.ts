/** The WebSocket gateway: TLS of its own, a proxy on the way, many clients at once, and hostile ones. */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, waitFor } from "../lab/command.js";
import type { GatewayAbuseReport } from "../lab/gateway-abuse.js";
import type { GatewayClientsReport } from "../lab/gateway-clients.js";
import type { GatewayCrashReport } from "../lab/gateway-crash.js";
import { internet4, internetHost, internetRoutes } from "../lab/internet-host.js";
import { type Host, repository } from "../lab/lab.js";
import { Daemon, vpnd } from "../lab/programs.js";
import { strays, watchStrays } from "../lab/strays.js";
import { labSuite } from "../lab/suite.js";
import { ping, reachable } from "../lab/traffic.js";

interface Scene {
  gateway: Daemon;
  a: Daemon;
  proxy: Host;
}

interface GatewayDocument {
  clients?: { remote: string; state: string; user?: string }[];
  refused?: Record<string, number>;
}

const port = 8443;
const plainPort = 8080;
const program = (name: string): string[] => [
  "--import",
  join(repository, "node_modules/tsx/dist/loader.mjs"),
  join(repository, "test/lab", name),
];

/** A certificate that is its own authority. @returns its path; the key's ends with .key */
async function certificate(host: Host, name: string, address: string): Promise<string> {
  const path = join(host.folder, name);
  const subject = ["-subj", "/CN=gateway", "-addext", `subjectAltName=IP:${address}`];
  const key = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    `${path}.key`,
  ];
  await must("openssl", ["req", "-x509", ...key, "-out", path, "-days", "2", ...subject]);
  return path;
}

function use(host: Host, certificate: string): void {
  copyFileSync(`${certificate}.key`, join(host.folder, "key.pem"));
  copyFileSync(certificate, join(host.folder, "cert.pem"));
}

labSuite<Scene>(
  "gateway-many",
  async (lab) => {
    const host = await lab.publicHost("gw");
    const a = await lab.hostBehind("a", await lab.router("ra", "blocked"));
    const proxy = await lab.publicHost("proxy");
    await internetHost(lab);
    const gateway = new Daemon(host);
    const config = join(host.folder, "vpnd.toml");
    const [cert, key] = ["cert.pem", "key.pem"].map((name) => join(host.folder, name));
    writeFileSync(config, `[gateway]\ntls_cert = "${cert}"\ntls_key = "${key}"\n`);
    const first = await certificate(host, "first", host.address);
    use(host, first);
    await gateway.start(["--config", config]);
    process.env.SSL_CERT_FILE = first;
    return { gateway, a: await vpnd(a), proxy };
  },
  (step) => {
    step("with TLS of its own, by way of a proxy", async ({ gateway, a, proxy }) => {
      await gateway.ok(["gateway", "start", "--open", "--workers", "2", "--listen", `0.0.0.0:${port}`]);
      const helper = proxy.spawn("proxy", process.execPath, [...program("connect-proxy.ts"), "3128"]);
      await proxy.listening(helper, "tcp", 3128);
      const url = `wss://${gateway.host.address}:${port}/`;
      const where = ["--gateway", url, "--proxy", `http://${proxy.address}:3128`, "--route", internetRoutes];
      const joined = await a.json<{ notes: string[] }>(["join", "net", ...where]);
      assert.ok(!joined.notes.some((note) => /not encrypted/.test(note)), JSON.stringify(joined));
      assert.equal((await ping(a.host, internet4)).received, 3);
      const [one] = (await gateway.json<GatewayDocument>(["gateway", "clients"])).clients ?? [];
      assert.ok(one?.remote.startsWith(`${proxy.address}:`), JSON.stringify(one));
      assert.match((await a.peers()).peers[0]?.cipher ?? "", /^TLS_/);
      await helper.stop();
      await waitFor(
        async () => (await a.peers()).peers[0]?.state === "connecting",
        20_000,
        "the proxy is gone",
      );
      await a.ok(["leave", "net"]);
    });

    step(
      "a renewed certificate is taken over, and one that nobody vouches for is refused in words",
      async ({ gateway, a }) => {
        const url = `wss://${gateway.host.address}:${port}/`;
        const join = ["join", "net", "--gateway", url, "--route", internetRoutes];
        await a.ok(join);
        use(gateway.host, await certificate(gateway.host, "second", gateway.host.address));
        await gateway.program.until(
          () => /another certificate/.test(gateway.program.log),
          20_000,
          "it is taken over",
        );
        assert.equal((await ping(a.host, internet4)).received, 3, "connections go on");
        await a.ok(["leave", "net"]);
        const refused = await a.ctl(["--timeout", "2s", ...join]);
        assert.equal(refused.code, 1, refused.stderr);
        assert.match(refused.stderr, /not to be trusted/);
        await gateway.ok(["gateway", "stop"]);
      },
    );

    step(
      "a hundred clients at once, each with a device; no more; those that leave come back to their addresses",
      async ({ gateway, proxy }) => {
        await gateway.stop();
        await gateway.start();
        const options = [
          "--open",
          "--workers",
          "2",
          "--max-clients",
          "100",
          "--listen",
          `0.0.0.0:${plainPort}`,
        ];
        await gateway.ok(["gateway", "start", ...options]);
        const url = `ws://${gateway.host.address}:${plainPort}/`;
        const run = await proxy.exec(
          process.execPath,
          [...program("gateway-clients.ts"), url, "100", internet4, "hostile"],
          {
            timeoutMs: 120_000,
          },
        );
        assert.equal(run.code, 0, run.stderr);
        const report = JSON.parse(run.stdout) as GatewayClientsReport;
        assert.equal(report.connected, 100);
        assert.equal(report.answered, 100, run.stdout);
        assert.equal(report.beyond, 1013);
        assert.equal(report.same, 50);
        // Text, half a frame, too much at once; what is only no packet ends nothing.
        assert.deepEqual(report.hostile.slice(0, 4), [1003, 1002, 1002, 1009], run.stdout);
        assert.deepEqual(report.honest, { sent: report.hostile.length, answered: report.hostile.length });
        for (const worker of [0, 1]) assert.match(gateway.program.log, new RegExp(`"worker":${worker}\\b`));
        const devices = (await gateway.host.ip("-br", "link")).match(/vpngw-/g)?.length ?? 0;
        assert.ok(devices <= 100, `${devices} devices`);
        const { clients = [] } = await gateway.json<GatewayDocument>(["gateway", "clients"]);
        assert.ok(clients.every(({ state }) => state === "away"));
      },
    );

    step(
      "a worker that breaks down ends its own clients' connections only, and starts again",
      async ({ gateway }) => {
        const { host, program: vpnd } = gateway;
        const listeners = async (): Promise<number> => {
          const { stdout } = await host.exec("ss", ["-Hltn", `sport = :${plainPort}`]);
          return stdout.trim().split("\n").filter(Boolean).length;
        };
        assert.equal(await listeners(), 2);
        process.kill(vpnd.pid, "SIGUSR1");
        const args = [...program("gateway-crash.ts"), `ws://127.0.0.1:${plainPort}/`, internet4];
        const { code, stdout, stderr } = await host.exec(process.execPath, args, { timeoutMs: 120_000 });
        assert.equal(code, 0, stderr);
        const report = JSON.parse(stdout) as GatewayCrashReport;
        assert.equal(report.clients, 16, stdout);
        assert.ok(report.lost > 0 && report.lost < 16, stdout);
        assert.deepEqual([report.answered, report.same], [16 - report.lost, report.lost], stdout);
        assert.equal([...vpnd.log.matchAll(/a thread of the gateway broke down/g)].length, 1);
        assert.match(vpnd.log, /broken down on purpose/);
        await waitFor(async () => (await listeners()) === 2 || undefined, 60_000, "it listens again");
        await gateway.ok(["gateway", "stop"]);
        assert.doesNotMatch(await host.ip("-br", "link"), /vpngw-/);
        await reachable(host, internet4);
      },
    );

    step(
      "nobody who means no good gets anywhere, takes memory, or disturbs others",
      async ({ gateway, a, proxy }) => {
        const user = async (name: string): Promise<string> =>
          (await gateway.json<{ token: string }>(["gateway", "user", "add", name])).token;
        const [alice, mallory] = [await user("alice"), await user("mallory")];
        await gateway.ok(["gateway", "start", "--listen", `0.0.0.0:${plainPort}`]);
        const url = `ws://${gateway.host.address}:${plainPort}/`;
        const file = join(a.host.folder, "alice");
        writeFileSync(file, alice, { mode: 0o600 });
        await a.ok(["join", "net", "--gateway", url, "--token-file", file, "--route", internetRoutes]);
        await reachable(a.host, internet4);
        await watchStrays(gateway.host);
        const memory = (): number => {
          const status = readFileSync(`/proc/${gateway.program.pid}/status`, "utf8");
          return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
        };
        const before = memory();
        const args = [...program("gateway-abuse.ts"), url, mallory, internet4, "300", "600", "5000"];
        let over = false;
        const abuse = proxy.exec(process.execPath, args, { timeoutMs: 90_000 }).finally(() => {
          over = true;
        });
        while (!over) assert.equal((await ping(a.host, internet4)).received, 3, "alice is undisturbed");
        const { code, stdout, stderr } = await abuse;
        assert.equal(code, 0, stderr);
        const report = JSON.parse(stdout) as GatewayAbuseReport;
        assert.equal(report.turnedAway, 300, stdout);
        assert.ok(report.slowCut >= 600 - 512, stdout);
        assert.ok(report.servedMeanwhile, stdout);
        const { all, stray } = await strays(gateway.host);
        assert.ok(all > 1000, `${all} packets`);
        assert.equal(stray, 0);
        assert.ok(memory() - before < 64 << 10, `${before} kB became ${memory()} kB`);
        const { refused = {} } = await gateway.json<GatewayDocument>(["gateway", "clients"]);
        assert.ok(
          (refused["no-token"] ?? 0) >= 300 && (refused["too-many-connections"] ?? 0) > 0,
          JSON.stringify(refused),
        );
        await a.ok(["leave", "net"]);
        await gateway.ok(["gateway", "stop"]);
      },
    );
  },
);
