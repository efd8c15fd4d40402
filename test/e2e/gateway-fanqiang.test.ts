/** The gateway for clients of fanqiang-poc, and vpnd as such a client; sizes that are hidden. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import type { FanqiangReport } from "../lab/fanqiang-clients.js";
import { internet4, internet6, internetHost, internetRoutes } from "../lab/internet-host.js";
import { type Host, repository } from "../lab/lab.js";
import { type Daemon, vpnd } from "../lab/programs.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping, reachable } from "../lab/traffic.js";

interface GatewayDocument {
  open: boolean;
  fanqiang: boolean;
  notes: string[];
  clients: { state: string; foreign: boolean; addresses: string[]; drops: Record<string, number> }[];
}

interface Scene {
  gateway: Daemon;
  a: Daemon;
  /** Where those without vpnd are. */
  crowd: Host;
  web: Host;
  before: string;
}

const port = 8080;
const mostClients = 16;
const few = [512, 1536];

async function fanqiangClients(
  crowd: Host,
  url: string,
  { reconnects = 0, mutated = 0 } = {},
): Promise<FanqiangReport> {
  const program = ["--import", join(repository, "node_modules/tsx/dist/loader.mjs")];
  const script = join(repository, "test/lab/fanqiang-clients.ts");
  const run = await crowd.exec(
    process.execPath,
    [...program, script, url, internet4, String(reconnects), String(mutated)],
    {
      timeoutMs: 120_000,
    },
  );
  assert.equal(run.code, 0, run.stderr);
  return JSON.parse(run.stdout) as FanqiangReport;
}

const gatewayUrl = ({ host }: Daemon, path = "/"): string => `ws://${host.address}:${port}${path}`;
const descriptors = ({ program }: Daemon): number => readdirSync(`/proc/${program.pid}/fd`).length;

async function nobodyLeft(gateway: Daemon): Promise<void> {
  let last: GatewayDocument["clients"] = [];
  await waitFor(
    async () => {
      last = (await gateway.json<GatewayDocument>(["gateway", "clients"])).clients;
      return last.length === 0 || undefined;
    },
    20_000,
    "no address is kept",
    () => last,
  );
}

labSuite<Scene>(
  "gateway-fanqiang",
  async (lab) => {
    const host = await lab.publicHost("gw");
    const crowd = await lab.publicHost("crowd");
    const a = await lab.publicHost("a");
    const web = await internetHost(lab);
    const before = await snapshot(host);
    return { gateway: await vpnd(host), a: await vpnd(a), crowd, web, before };
  },
  (step) => {
    step("it is open to all then, and says so", async ({ gateway }) => {
      const start = ["gateway", "start", "--fanqiang", "--listen", `0.0.0.0:${port}`];
      const started = await gateway.json<GatewayDocument>([...start, "--max-clients", String(mostClients)]);
      assert.equal(started.open && started.fanqiang, true);
      assert.ok(
        started.notes.some((note) => /no token/.test(note)),
        JSON.stringify(started.notes),
      );
      const refused = await gateway.ctl([...start, "--subnet", "10.0.0.0/16"]);
      assert.equal(refused.code, 2, refused.stderr);
    });

    step(
      "a client of the original works at any path, what kills the original disturbs nobody, and who leaves leaves nothing",
      async ({ gateway, a, crowd }) => {
        await a.ok(["join", "net", "--gateway", gatewayUrl(gateway), "--route", internetRoutes]);
        await reachable(a.host, internet4);
        const open = descriptors(gateway);
        const report = await fanqiangClients(crowd, gatewayUrl(gateway, "/tunnel/of?any=kind"), {
          reconnects: 20,
          mutated: 5_000,
        });
        const text = JSON.stringify(report);
        assert.match(report.hello, /^10\.91\.0\.4\/30,fd76:706e:6477:0:0:0:0:2\/127$/);
        assert.equal(report.answered, report.sent, text);
        assert.deepEqual(report.noise, [1]);
        assert.ok(report.pauses.length > 1, text);
        // Text and what is larger than any message end that connection, the rest is dropped.
        assert.deepEqual(report.killers, [1003, 0, 0, 0, 0, 0, 0, 1009]);
        assert.equal(report.honest.answered, report.honest.sent, text);
        assert.equal(report.mutated, 5_000, "and its sender is still served");
        assert.deepEqual([report.served, report.turnedAway], [20, 0]);
        const own = (await gateway.json<GatewayDocument>(["gateway", "clients"])).clients.filter(
          ({ foreign }) => !foreign,
        );
        assert.equal(own.length, 1, "our own client speaks our own protocol");
        assert.equal((await ping(a.host, internet4)).received, 3, "and goes on");
        await a.ok(["leave", "net"]);
        await gateway.ok(["gateway", "kick", "10.91.0.2"]);
        await nobodyLeft(gateway);
        const devices = (await gateway.host.ip("-br", "link")).match(/vpngw-/g)?.length ?? 0;
        assert.ok(devices <= mostClients, `${devices} devices`);
        // A descriptor for each device that waits for the next client, and no connection.
        assert.ok(descriptors(gateway) <= open + devices, `${descriptors(gateway)} of ${open} descriptors`);
      },
    );

    step("vpnctl pings through it, without vpnd and without privileges", async ({ gateway, crowd }) => {
      const nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
      for (const [address, more] of [
        [internet4, []],
        [internet6, ["--fanqiang"]],
      ] as const) {
        const command = ["gateway", "ping", gatewayUrl(gateway), address, "-c", "1", ...more];
        const run = await crowd.exec("setpriv", [...nobody, join(repository, "bin/vpnctl"), ...command]);
        assert.equal(run.code, 0, run.stderr);
        assert.match(run.stdout, /seq 1, .* ms/);
      }
      await nobodyLeft(gateway);
      const forbidden = ["gateway", "ping", gatewayUrl(gateway), "10.1.2.3", "-c", "1", "--timeout", "1s"];
      const run = await crowd.exec(join(repository, "bin/vpnctl"), forbidden);
      assert.equal(run.code, 8, run.stderr);
    });

    step("vpnd is such a client, too: both families, whole files", async ({ gateway, a, web }) => {
      const join = ["join", "net", "--gateway", gatewayUrl(gateway, "/x"), "--fanqiang"];
      await a.ok([...join, "--route", internetRoutes]);
      await reachable(a.host, internet4);
      assert.equal((await ping(a.host, internet6)).received, 3);
      const copied = await copyFile(a.host, web, internet4, 1_000_000);
      assert.equal(copied.receivedSha256, copied.sentSha256);
      assert.equal((await ping(a.host, internet4, { size: 1472, dontFragment: true })).received, 3);
      const [one] = (await gateway.json<GatewayDocument>(["gateway", "clients"])).clients;
      assert.ok(one?.foreign);
      const { gateway: link } = await a.json<{ gateway: { fanqiang: boolean } }>(["network", "net"]);
      assert.equal(link.fanqiang, true);
      const differs = await a.ctl(["join", "net", "--gateway", gatewayUrl(gateway, "/x")]);
      assert.match(differs.stderr, /--fanqiang/);
      await gateway.ok(["gateway", "kick", one.addresses[0]?.split("/")[0] ?? ""]);
      await reachable(a.host, internet4);
      await a.ok(["leave", "net"]);
      await gateway.ok(["gateway", "stop"]);
      const token = ["--token-file", "-"];
      const refused = await a.ctl([...join, ...token], { input: "vpngw_token\n" });
      assert.equal(refused.code, 2, refused.stderr);
    });

    step(
      "with padding, messages have few sizes, at random times",
      async ({ gateway, a, crowd, web, before }) => {
        await gateway.ok(["gateway", "start", "--fanqiang", "--padding", "--listen", `0.0.0.0:${port}`]);
        const report = await fanqiangClients(crowd, gatewayUrl(gateway));
        const text = JSON.stringify(report);
        assert.equal(report.answered, report.sent, text);
        assert.deepEqual(
          report.sizes.sort((one, other) => one - other),
          few,
          text,
        );
        assert.ok(
          report.noise.every((size) => few.includes(size)),
          text,
        );
        assert.ok(Math.max(...report.pauses) - Math.min(...report.pauses) > 50, text);
        const where = ["--gateway", gatewayUrl(gateway), "--padding", "--route", internetRoutes];
        for (const more of [[], ["--fanqiang"]]) {
          await a.ok(["join", "net", ...where, ...more]);
          await reachable(a.host, internet4);
          const copied = await copyFile(a.host, web, internet4, 1_000_000);
          assert.equal(copied.receivedSha256, copied.sentSha256);
          await a.ok(["leave", "net"]);
        }
        await gateway.ok(["gateway", "stop"]);
        await assertUnchanged(gateway.host, before);
      },
    );
  },
);
