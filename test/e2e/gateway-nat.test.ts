/** What a gateway's clients see of its NAT: ports and filtering in the kernel, addresses of their own; and a device for all of them. */
import assert from "node:assert/strict";
import { join as joinPath } from "node:path";
import process from "node:process";
import { waitFor } from "../lab/command.js";
import type { GatewayClientsReport } from "../lab/gateway-clients.js";
import type { GatewayCrashReport } from "../lab/gateway-crash.js";
import { internet4, internet6, internetHost, internetRoutes } from "../lab/internet-host.js";
import { type Host, repository } from "../lab/lab.js";
import { type Daemon, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, iperf, ping, reachable } from "../lab/traffic.js";
import { UdpPuppet } from "../lab/udp-puppet.js";

interface Scene {
  gateway: Daemon;
  a: Daemon;
  b: Daemon;
  web: Host;
}

interface GatewayDocument {
  anySource: boolean;
  clients: {
    state: string;
    addresses: string[];
    rxPackets: number;
    txPackets: number;
    learnedAddresses: string[];
    drops: Record<string, number>;
  }[];
  strays: Record<string, number>;
}

const port = 8080;
/** What the "internet" host has of a family: two addresses; and any address of a client. */
const families = [
  { near: internet4, far: "93.184.216.35", any: "0.0.0.0" },
  { near: internet6, far: "2606:2800:220:1::35", any: "::" },
] as const;
const program = (name: string): string[] => [
  "--import",
  joinPath(repository, "node_modules/tsx/dist/loader.mjs"),
  joinPath(repository, "test/lab", name),
];
const own4 = "192.168.1.5";
const own6 = "fd00:5::5";
const clientPort = 40_000;

const join = ({ host }: Daemon): string[] => {
  const gateway = ["--gateway", `ws://${host.address}:${port}/`];
  return ["join", "net", ...gateway, "--route", internetRoutes];
};

async function addressOf(client: Daemon): Promise<string> {
  const { virtualIp } = await client.json<{ virtualIp: string }>(["network", "net"]);
  return virtualIp.replace(/\/.*/, "");
}

/** Has the client join, and other clients within reach. @returns which of the gateway's workers serves it */
async function connect(gateway: Daemon, client: Daemon): Promise<string | undefined> {
  const connected = () =>
    gateway.program.log
      .split("\n")
      .filter((line) => line.includes(`"remote":"${client.host.address}:`) && line.includes('"worker"'));
  const before = connected().length;
  await client.ok([...join(gateway), "--route", "10.91.0.0/16"]);
  await gateway.program.until(() => connected().length > before, 60_000, "the log knows of the client");
  return /"worker":(\d+)/.exec(connected().at(-1) ?? "")?.[1];
}

/** How many datagrams came for ports where nobody listens. */
async function closedPorts(host: Host): Promise<number> {
  const { stdout } = await host.exec("cat", ["/proc/net/snmp", "/proc/net/snmp6"]);
  const [, four, six] = /^Udp: \d+ (\d+)[\s\S]*^Udp6NoPorts\s+(\d+)/m.exec(stdout) ?? [];
  return Number(four) + Number(six);
}

/** What a client sees of the kernel's NAT in one family. */
async function measureNat({ gateway, a, b, web }: Scene, { near, far, any }: (typeof families)[number]) {
  await Promise.all([reachable(a.host, near), reachable(b.host, near)]);
  const [one, otherPort, otherAddress, early, client, rival] = await Promise.all([
    UdpPuppet.start(web, 7001, near),
    UdpPuppet.start(web, 7002, near),
    UdpPuppet.start(web, 7003, far),
    UdpPuppet.start(web, 7004, far),
    UdpPuppet.start(a.host, clientPort, any),
    UdpPuppet.start(b.host, clientPort, any),
  ]);
  const outside = near.includes(":") ? gateway.host.address6 : gateway.host.address;
  const seen = async (from: UdpPuppet, at: UdpPuppet, address: string, port: number, text: string) => {
    from.send(address, port, text);
    return at.receive(text);
  };
  const kept = { address: outside, port: clientPort };
  assert.deepEqual(await seen(client, one, near, 7001, "first"), kept, "the port is kept");
  assert.deepEqual(await seen(client, otherPort, near, 7002, "second"), kept, "for another port");
  assert.deepEqual(await seen(client, otherAddress, far, 7003, "third"), kept, "for another address");
  // Linux keeps in mind what came in vain, so that an end that speaks first spoils the port towards itself.
  const before = await closedPorts(gateway.host);
  early.send(outside, clientPort, "early");
  const arrived = async () => (await closedPorts(gateway.host)) > before || undefined;
  await waitFor(arrived, 30_000, "it came in vain");
  const spoilt = await seen(client, early, far, 7004, "fourth");
  assert.notEqual(spoilt.port, clientPort, "for an address that sent to the port before");

  const rivalOne = await seen(rival, one, near, 7001, "rival");
  assert.notEqual(rivalOne.port, clientPort, "that one is taken, towards this destination");
  const rivalOther = await seen(rival, otherPort, near, 7002, "rival2");
  assert.equal(rivalOther.port, rivalOne.port, "and stays what it is towards others");

  // So far 7001 knows the rival, 7003 does not.
  otherAddress.send(outside, rivalOne.port, "stranger");
  one.send(outside, rivalOne.port, "answer");
  assert.deepEqual(await rival.receive("answer"), { address: near, port: 7001 });
  assert.equal(rival.received("stranger"), undefined, "an address that it never sent to");
  await Promise.all(
    [client, rival, one, otherPort, otherAddress, early].map(({ program }) => program.stop()),
  );
}

/** What a connected UDP socket is told of a port where nobody listens; "silence" if nothing comes. */
async function refusal(host: Host, to: string): Promise<string> {
  const type = to.includes(":") ? "udp6" : "udp4";
  const program = `const s = require("node:dgram").createSocket("${type}");
    s.on("error", (e) => { console.log(e.code); process.exit(); });
    setTimeout(() => { console.log("silence"); process.exit(); }, 20000);
    s.connect(9, "${to}", () => s.send("x"));`;
  return (await host.exec(process.execPath, ["-e", program])).stdout.trim();
}

labSuite<Scene>(
  "gateway-nat",
  async (lab) => {
    const hosts = ["gw", "a", "b"].map((name) => lab.publicHost(name));
    const [gateway, a, b] = await Promise.all(hosts.map(async (host) => vpnd(await host)));
    if (gateway === undefined || a === undefined || b === undefined) throw new Error("no daemons");
    const web = await internetHost(lab);
    for (const { far } of families) await web.ip("addr", "add", far, "dev", "lo");
    await gateway.ok(["gateway", "start", "--open", "--listen", `0.0.0.0:${port}`]);
    await Promise.all([a.ok(join(gateway)), b.ok(join(gateway))]);
    return { gateway, a, b, web };
  },
  (step) => {
    step(
      "kernel NAT, both families: one port for all destinations, answers from where a packet went only, another port on a conflict",
      async (scene) => {
        for (const family of families) await measureNat(scene, family);
      },
    );

    step(
      "with --any-source a client keeps an address of its own in each family, and is answered there",
      async ({ gateway, a, b, web }) => {
        await Promise.all([a.ok(["leave", "net"]), b.ok(["leave", "net"])]);
        await gateway.ok(["gateway", "stop"]);
        await gateway.ok(["gateway", "start", "--open", "--any-source", "--listen", `0.0.0.0:${port}`]);
        await a.ok(join(gateway));
        const { host } = a;
        await host.ip("addr", "add", `${own4}/32`, "dev", "vpn-net");
        await host.ip("addr", "add", `${own6}/128`, "dev", "vpn-net", "nodad");
        await host.ip("route", "replace", "93.184.216.0/24", "dev", "vpn-net", "src", own4);
        await host.ip("-6", "route", "replace", "2606:2800:220:1::/64", "dev", "vpn-net", "src", own6);
        for (const to of [internet4, internet6]) {
          assert.equal((await ping(host, to)).received, 3, to);
          assert.equal((await ping(host, to, { count: 1, size: 20_000 })).received, 1, "in fragments");
          const copy = await copyFile(host, web, to, 3_000_000);
          assert.equal(copy.receivedSha256, copy.sentSha256, to);
        }
        const document = await gateway.json<GatewayDocument>(["gateway", "clients"]);
        assert.equal(document.anySource, true);
        assert.deepEqual(document.clients[0]?.addresses, ["10.91.0.2/30", "fd76:706e:6477::1/127"]);
        assert.deepEqual(document.clients[0]?.learnedAddresses, [own4, own6]);
      },
    );

    step("ICMP errors find the socket behind the translated address", async ({ a }) => {
      // The kernel looks for the socket by the addresses in the packet that the error quotes.
      for (const to of [internet4, internet6]) assert.equal(await refusal(a.host, to), "ECONNREFUSED", to);
      const { stdout } = await a.host.exec("ping", ["-n", "-c", "1", "-W", "20", "-t", "1", internet4]);
      assert.match(stdout, /From 10\.91\.0\.1 .*Time to live exceeded/);
    });

    step("a second address is foreign, also the one that the client was given", async ({ gateway, a }) => {
      const { stdout } = await a.host.exec("ping", [
        ...["-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", "10.91.0.2", internet4],
      ]);
      assert.match(stdout, / 0 received/);
      await waitFor(
        async () => {
          const { clients } = await gateway.json<GatewayDocument>(["gateway", "clients"]);
          return (clients[0]?.drops["foreign-source"] ?? 0) >= 2 || undefined;
        },
        10_000,
        "they are counted",
      );
    });

    step(
      "with --isolation shared all have one device, each its own packets, and nobody another's address",
      async ({ gateway, a, b, web }) => {
        await a.ok(["leave", "net"]);
        await gateway.ok(["gateway", "stop"]);
        const start = ["gateway", "start", "--open", "--listen", `0.0.0.0:${port}`, "--isolation", "shared"];
        await gateway.ok(start);
        await Promise.all([a.ok([...join(gateway), "--route", "10.91.0.0/16"]), b.ok(join(gateway))]);
        const devices = (await gateway.host.ip("-br", "link")).match(/vpngw-\S+/g);
        assert.deepEqual(devices, ["vpngw-all"]);
        for (const to of [internet4, internet6]) {
          const pings = await Promise.all([ping(a.host, to, { size: 4000 }), ping(b.host, to)]);
          assert.deepEqual(
            pings.map(({ received }) => received),
            [3, 3],
            to,
          );
        }
        // Both at once, and both ways.
        await Promise.all([
          copyFile(a.host, web, internet4, 5_000_000).then((up) =>
            assert.equal(up.receivedSha256, up.sentSha256),
          ),
          iperf(b.host, web, internet4, { seconds: 1, reverse: true }).then((bps) => assert.ok(bps > 0)),
        ]);
        assert.equal((await ping(a.host, "10.91.0.1", { count: 1, waitSeconds: 1 })).received, 0, "the host");
        const other = await addressOf(b);
        assert.equal((await ping(a.host, other, { count: 1, waitSeconds: 1 })).received, 0, "another client");
        // As the other one, whose packets have the same device.
        await a.host.ip("addr", "add", `${other}/32`, "dev", "vpn-net");
        const spoofed = ["-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", other, internet4];
        assert.match((await a.host.exec("ping", spoofed)).stdout, / 0 received/);
        await gateway.host.exec("ping", ["-n", "-c", "1", "-W", "1", "10.91.200.2"]);
        const counted = async () => {
          const { clients, strays } = await gateway.json<GatewayDocument>(["gateway", "clients"]);
          const foreign = clients.some(({ drops }) => (drops["foreign-source"] ?? 0) >= 2);
          return (foreign && (strays["no-client"] ?? 0) > 0) || undefined;
        };
        await waitFor(counted, 60_000, "what is foreign and what is for nobody is counted");
      },
    );

    step("many clients of one device; one of them to another, where that is allowed", async (scene) => {
      const { gateway, a, b } = scene;
      await Promise.all([a.ok(["leave", "net"]), b.ok(["leave", "net"])]);
      await gateway.ok(["gateway", "stop"]);
      const threads = ["--workers", "2"];
      const options = [
        "--open",
        "--isolation",
        "shared",
        "--allow-clients",
        "--max-clients",
        "60",
        ...threads,
      ];
      await gateway.ok(["gateway", "start", "--listen", `0.0.0.0:${port}`, ...options]);
      const url = `ws://${gateway.host.address}:${port}/`;
      const crowd = [...program("gateway-clients.ts"), url, "60", internet4];
      const run = await b.host.exec(process.execPath, crowd, { timeoutMs: 60_000 });
      assert.equal(run.code, 0, run.stderr);
      const report = JSON.parse(run.stdout) as GatewayClientsReport;
      assert.deepEqual(
        [report.connected, report.answered, report.same, report.beyond],
        [60, 60, 30, 1013],
        run.stdout,
      );
      // A worker takes its queue with it, and has another when it starts again.
      process.kill(gateway.program.pid, "SIGUSR1");
      const crash = [...program("gateway-crash.ts"), `ws://127.0.0.1:${port}/`, internet4];
      const { code, stdout, stderr } = await gateway.host.exec(process.execPath, crash, {
        timeoutMs: 120_000,
      });
      assert.equal(code, 0, stderr);
      const { clients: all, lost, answered, same } = JSON.parse(stdout) as GatewayCrashReport;
      assert.ok(all === 16 && lost > 0 && answered === all - lost && same === lost, stdout);
      const queues = async () =>
        /numqueues 2 /.test(await gateway.host.ip("-d", "link", "show", "vpngw-all")) || undefined;
      await waitFor(queues, 60_000, "there are two queues again");
      await gateway.ok(["gateway", "stop"]);
      await gateway.ok(["gateway", "start", "--listen", `0.0.0.0:${port}`, ...options]);
      // The kernel expects answers by the queue that the question came by, which is the other's.
      const worker = await connect(gateway, a);
      for (let tries = 1; (await connect(gateway, b)) === worker; tries++) {
        assert.ok(tries < 20, "all connections get to one worker");
        await b.ok(["leave", "net"]);
      }
      assert.equal((await ping(a.host, await addressOf(b), { size: 4000 })).received, 3);
      assert.equal((await ping(b.host, internet6)).received, 3);
      const up = async () => {
        const { clients } = await gateway.json<GatewayDocument>(["gateway", "clients"]);
        return clients.filter(({ state }) => state === "up");
      };
      await waitFor(
        async () => {
          const counted = (await up()).map(({ rxPackets, txPackets }) => rxPackets >= 3 && txPackets >= 3);
          return counted.length === 2 && counted.every(Boolean);
        },
        20_000,
        "the packets of both are counted",
        up,
      );
      await gateway.ok(["gateway", "stop"]);
      assert.doesNotMatch(await gateway.host.ip("-br", "link"), /vpngw-/);
    });
  },
);
