/** The WebSocket gateway: clients, users, addresses that stay, what may not pass, and nothing left behind. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import { addUser, client, clients, type GatewayDocument, refusals, tokenFile } from "../lab/gateway.js";
import { internet4, internet6, internetHost, internetRoutes } from "../lab/internet-host.js";
import type { Host } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, iperf, ping, reachable } from "../lab/traffic.js";

interface UsersDocument {
  users: { name: string; quotaUsed?: number }[];
}

interface NetworkDocument {
  state: string;
  virtualIp?: string;
  reason?: { code: string; message: string };
  gateway?: { url: string; addresses: string[] };
}

interface Scene {
  gateway: Daemon;
  a: Daemon;
  b: Daemon;
  web: Host;
  before: string;
}

const routes = ["--route", internetRoutes];
const port = 8080;

labSuite<Scene>(
  "gateway",
  async (lab) => {
    const host = await lab.publicHost("gw");
    const a = await lab.hostBehind("a", await lab.router("ra", "blocked"));
    const b = await lab.publicHost("b");
    const web = await internetHost(lab);
    const before = await snapshot(host);
    return { gateway: await vpnd(host), a: await vpnd(a), b: await vpnd(b), web, before };
  },
  (step) => {
    step("without users it is not opened to the world", async ({ gateway }) => {
      const listen = ["--listen", `0.0.0.0:${port}`];
      const refused = await gateway.ctl(["gateway", "start", ...listen]);
      assert.equal(refused.code, 1, refused.stderr);
      assert.match(refused.stderr, /gateway user add/);
      assert.match(await gateway.ok(["gateway", "clients"]), /gateway: off/);
    });

    step(
      "a client behind a NAT that lets only TCP out reaches the Internet, both families",
      async ({ gateway, a, web }) => {
        const token = await addUser(gateway, "alice");
        const dry = await gateway.ok(["gateway", "start", "--listen", `0.0.0.0:${port}`, "--dry-run"]);
        assert.match(dry, /nftables table inet vpnd-gateway/);
        const started = await gateway.ok(["gateway", "start", "--listen", `0.0.0.0:${port}`, "--allow-host"]);
        assert.match(started, /up at 0\.0\.0\.0:8080, 1 user/);
        const url = `ws://${gateway.host.address}:${port}/`;
        const file = tokenFile(a.host, "alice", token);
        assert.match(
          await a.ok(["join", "net", "--gateway", url, "--token-file", file, ...routes]),
          /joined net: 10\.91\.0\.2/,
        );
        assert.equal((await ping(a.host, internet4)).received, 3);
        assert.equal((await ping(a.host, internet6)).received, 3);
        assert.equal((await ping(a.host, "10.91.0.1")).received, 3, "the gateway itself, as it was allowed");
        // The outside sees the gateway.
        const seen = web.spawn("tcpdump", "tcpdump", [
          "-n",
          "-l",
          "-i",
          "eth0",
          "--immediate-mode",
          "icmp or icmp6",
        ]);
        await seen.until(() => /listening on/.test(seen.log), 10_000, "tcpdump listens");
        await ping(a.host, internet4, { count: 1 });
        await seen.until(
          () => seen.log.includes(`${gateway.host.address} > ${internet4}: ICMP echo request`),
          10_000,
          "the request came from the gateway",
        );
        await seen.stop();
        const one = await client(
          gateway,
          (each) => each.user === "alice" && each.rxPackets > 0,
          "alice's packets are counted",
        );
        assert.equal(one.state, "up");
        assert.deepEqual(one.addresses, ["10.91.0.2/30", "fd76:706e:6477::1/127"]);
      },
    );

    step("TCP both ways, with large packets whole", async ({ gateway, a, web }) => {
      for (const reverse of [false, true])
        assert.ok((await iperf(a.host, web, internet4, { seconds: 1, reverse })) > 0);
      const up = await copyFile(a.host, web, internet4, 10_000_000);
      assert.equal(up.receivedSha256, up.sentSha256);
      const six = await copyFile(a.host, web, internet6, 5_000_000);
      assert.equal(six.receivedSha256, six.sentSha256);
      assert.equal((await ping(a.host, internet4, { size: 20_000 })).received, 3, "fragments");
      const document = await a.json<NetworkDocument>(["network", "net"]);
      assert.equal(document.state, "up");
      assert.equal(document.virtualIp, "10.91.0.2/30");
      const [peer] = (await a.peers()).peers;
      assert.equal(peer?.path, "gateway");
      assert.match(await a.ok(["ping", "gateway", "-c", "1"]), /gateway/);
      const metrics = await gateway.ok(["metrics"]);
      assert.match(metrics, /^vpnd_gateway_clients\{state="up"\} 1$/m);
      const bytes =
        /^vpnd_gateway_client_bytes_total\{address="10\.91\.0\.2",user="alice",direction="rx"\} [1-9]/m;
      assert.match(metrics, bytes);
    });

    step("prefixes and token change while it is connected", async ({ gateway, a }) => {
      const device = await a.host.ip("link", "show", "vpn-net");
      const [index] = device.split(":");
      const [route4 = "", route6 = ""] = internetRoutes.split(",");
      assert.match(
        await a.ok(["set", "net", "--route", route4]),
        new RegExp(`--route is now ${route4}, was ${route4},${route6}`),
      );
      assert.doesNotMatch(await a.host.ip("-6", "route"), /2606:.*vpn-net/);
      assert.equal((await ping(a.host, internet4)).received, 3);
      const wrong = tokenFile(a.host, "wrong", "vpngw_nonsense");
      const shown = await a.ok(["set", "net", "--token-file", wrong]);
      assert.match(shown, /--token-file is now another one, was one\n/);
      const why = async () => (await a.json<NetworkDocument>(["network", "net"])).reason?.message;
      await waitFor(async () => (await why())?.includes("token"), 20_000, "it is refused", why);
      const right = join(a.host.folder, "alice");
      await a.ok(["set", "net", "--token-file", right, "--route", internetRoutes]);
      await reachable(a.host, internet6);
      assert.equal(
        (await a.host.ip("link", "show", "vpn-net")).split(":")[0],
        index,
        "the device is the same",
      );
      const { code, stderr } = await a.ctl(["set", "net", "--route", `${gateway.host.address}/32`]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /goes by way of the gateway itself/);
      assert.equal((await ping(a.host, internet4)).received, 3);
    });

    step("wrong, missing and expired tokens are refused in words", async ({ gateway, b }) => {
      const url = `ws://${gateway.host.address}:${port}/`;
      const wrong = tokenFile(b.host, "wrong", "vpngw_nonsense");
      const gone = tokenFile(b.host, "gone", await addUser(gateway, "gone", "--expires", "1ms"));
      for (const more of [["--token-file", wrong], [], ["--token-file", gone]]) {
        const refused = await b.ctl(["--timeout", "2s", "join", "net", "--gateway", url, ...more]);
        assert.equal(refused.code, 4, refused.stderr);
        assert.match(refused.stderr, /does not take the token/);
      }
      const elsewhere = await b.ctl([
        "--timeout",
        "2s",
        "join",
        "net",
        "--gateway",
        `${url}elsewhere`,
        "--token-file",
        wrong,
      ]);
      assert.match(elsewhere.stderr, /no gateway at this path/);
      const { refused } = await gateway.json<GatewayDocument>(["gateway", "clients"]);
      for (const why of ["wrong-token", "no-token", "expired-token", "wrong-path"]) {
        assert.ok((refused?.[why] ?? 0) > 0, `${why}: ${JSON.stringify(refused)}`);
      }
      assert.doesNotMatch(await b.host.ip("-br", "link"), /vpn-/);
    });

    step(
      "foreign sources, private destinations and other clients are out of reach, and counted",
      async ({ gateway, a, b, web }) => {
        const url = `ws://${gateway.host.address}:${port}/`;
        const file = tokenFile(b.host, "bob", await addUser(gateway, "bob"));
        const more = ["--route", "93.184.216.0/24,10.0.0.0/8"];
        await b.ok(["join", "net", "--gateway", url, "--token-file", file, ...more]);
        await reachable(b.host, internet4);
        const mine = "10.91.0.6";
        await b.host.ip("addr", "add", "198.51.100.77/32", "dev", "vpn-net");
        assert.equal(
          (await ping(b.host, "10.91.0.2", { count: 1, waitSeconds: 1 })).received,
          0,
          "another client",
        );
        assert.equal(
          (await ping(b.host, "10.1.2.3", { count: 1, waitSeconds: 1 })).received,
          0,
          "a private host",
        );
        const spoofed = await b.host.exec("ping", [
          "-n",
          "-c",
          "2",
          "-i",
          "0.2",
          "-W",
          "1",
          "-I",
          "198.51.100.77",
          internet4,
        ]);
        assert.match(spoofed.stdout, / 0 received/);
        const one = await client(
          gateway,
          (each) => each.user === "bob" && (each.drops["foreign-source"] ?? 0) >= 2,
          "bob's drops",
        );
        assert.ok((one.drops["forbidden-destination"] ?? 0) >= 1, JSON.stringify(one));
        // From outside, nobody gets in but answers.
        await web.ip("route", "add", "10.91.0.0/16", "via", gateway.host.address);
        assert.equal((await ping(web, mine, { count: 1, waitSeconds: 1 })).received, 0);
        assert.equal((await ping(a.host, internet4)).received, 3, "alice is undisturbed");
      },
    );

    step("after a lost connection a client comes back with its addresses", async ({ gateway, a }) => {
      await a.crash();
      await client(gateway, ({ user, state }) => user === "alice" && state === "away", "alice is away");
      await a.start();
      await reachable(a.host, internet4);
      const one = await client(
        gateway,
        ({ user, state }) => user === "alice" && state === "up",
        "alice is back",
      );
      assert.deepEqual(one.addresses, ["10.91.0.2/30", "fd76:706e:6477::1/127"]);
      assert.equal((await clients(gateway)).length, 2);
    });

    step(
      "idle connections are forgotten sooner than others', and none of a former client reaches the next",
      async ({ gateway, a, b, web }) => {
        // Says something every 20 ms to whoever said something.
        const stubborn = `const s = require("node:dgram").createSocket("udp4");
          s.on("message", (_, { port, address }) => setInterval(() => s.send("x", port, address), 20));
          s.bind(7777, "${internet4}", () => console.log("listening"));`;
        const server = web.spawn("stubborn", process.execPath, ["-e", stubborn]);
        await server.until(() => /listening/.test(server.log), 10_000, "the server listens");
        const flows = () => gateway.host.exec("cat", ["/proc/net/nf_conntrack"]);
        const talk = `const c = require("node:dgram").createSocket("udp4"); c.on("message", () => process.exit());
          c.send("x", 7777, "${internet4}");`;
        await b.host.exec(process.execPath, ["-e", talk], { timeoutMs: 10_000 });
        const tcp =
          "const c = require('node:net').connect(7778, process.argv[1], () => console.log('there'));";
        const listener =
          "require('node:net').createServer(() => {}).listen(7778, '0.0.0.0', () => console.log('listening'));";
        const listening = web.spawn("listener", process.execPath, ["-e", listener]);
        await listening.until(() => /listening/.test(listening.log), 10_000, "the server listens");
        const clients = [a.host, gateway.host].map((host) =>
          host.spawn("idle", process.execPath, ["-e", tcp, internet4]),
        );
        for (const one of clients)
          await one.until(() => /there/.test(one.log), 10_000, "the connection is there");
        const lines = (await flows()).stdout.split("\n").filter((line) => /dport=7778 /.test(line));
        const left = (source: RegExp) =>
          Number(/tcp +6 (\d+) ESTABLISHED/.exec(lines.find((line) => source.test(line)) ?? "")?.[1]);
        assert.ok(left(/src=10\.91\.0\.2 /) <= 7440, lines.join("\n"));
        assert.ok(left(new RegExp(`src=${gateway.host.address} dst=${internet4} `)) > 7440, lines.join("\n"));
        await Promise.all([...clients, listening].map((one) => one.stop()));

        assert.match((await flows()).stdout, /udp .*src=10\.91\.0\.6 .*dport=7777 /);
        await b.crash();
        await gateway.ok(["gateway", "kick", "bob"]);
        assert.doesNotMatch((await flows()).stdout, /src=10\.91\.0\.6 /);
        await b.start();
        await reachable(b.host, internet4);
        const seen = b.host.spawn("tcpdump", "tcpdump", ["-n", "-l", "-i", "vpn-net", "--immediate-mode"]);
        await seen.until(() => /listening on/.test(seen.log), 10_000, "tcpdump listens");
        await ping(b.host, internet4);
        await seen.until(
          () => seen.log.includes(`${internet4} > 10.91.0.6: ICMP echo reply`),
          10_000,
          "answers are seen",
        );
        assert.doesNotMatch(seen.log, /\.7777 /);
        await Promise.all([seen.stop(), server.stop()]);
      },
    );

    step("one client does not fill the kernel's table of connections", async ({ gateway, a, b }) => {
      const flood = `const s = require("node:dgram").createSocket("udp4");
        const send = (n) => n === 9000 ? s.close() : s.send("x", 10000 + (n % 4500), "${internet4}", () => send(n + 1));
        send(0);`;
      await b.host.exec(process.execPath, ["-e", flood], { timeoutMs: 60_000 });
      const { stdout } = await gateway.host.exec("cat", ["/proc/net/nf_conntrack"]);
      const flows = stdout.split("\n").filter((line) => line.includes("src=10.91.0.6 ")).length;
      assert.ok(flows > 1000 && flows <= 4096, `${flows} connections`);
      assert.equal((await ping(b.host, internet4, { count: 1, waitSeconds: 1 })).received, 0, "one more");
      assert.equal((await ping(a.host, internet4)).received, 3, "alice is undisturbed");
    });

    step("kicked clients may come back, revoked users may not", async ({ gateway, b }) => {
      const before = await client(gateway, ({ user }) => user === "bob", "bob");
      await gateway.ok(["gateway", "kick", "bob"]);
      await client(
        gateway,
        ({ user, id, state }) => user === "bob" && id !== before.id && state === "up",
        "bob is back",
      );
      assert.match(await gateway.ok(["gateway", "user", "revoke", "bob"]), /1 connection closed/);
      await waitFor(
        async () => (await b.json<NetworkDocument>(["network", "net"])).reason?.message.includes("token"),
        20_000,
        "bob is told",
      );
      assert.doesNotMatch(await gateway.ok(["gateway", "user", "list"]), /bob/);
      await b.ok(["leave", "net"]);
    });

    step(
      "a quota that is used up ends the session, also after a crash of vpnd",
      async ({ gateway, a, b }) => {
        const token = await addUser(gateway, "carol", "--quota", "50K/month");
        const url = `ws://${gateway.host.address}:${port}/`;
        const file = tokenFile(b.host, "carol", token);
        await b.ok(["join", "net", "--gateway", url, "--token-file", file, ...routes]);
        assert.equal((await ping(b.host, internet4, { size: 1000 })).received, 3);
        const one = await client(
          gateway,
          ({ user, quotaLeft }) => user === "carol" && quotaLeft !== undefined && quotaLeft < 51_200,
          "carol's packets count",
        );
        assert.ok((one.quotaLeft ?? 0) > 30_000, JSON.stringify(one));
        await ping(b.host, internet4, { size: 9000, count: 4 });
        const reason = async () => (await b.json<NetworkDocument>(["network", "net"])).reason?.code;
        await waitFor(async () => (await reason()) === "quota", 20_000, "carol is told", reason);
        assert.equal((await ping(a.host, internet4)).received, 3, "alice is undisturbed");
        const { users } = await gateway.json<UsersDocument>(["gateway", "user", "list"]);
        const carol = users.find(({ name }) => name === "carol");
        assert.equal(carol?.quotaUsed, 51_200, "to the byte");
        await gateway.crash();
        await gateway.start();
        await reachable(a.host, internet4, 60_000);
        await waitFor(
          async () => (await refusals(gateway)).quota !== undefined,
          40_000,
          "carol is refused again",
        );
        assert.equal(await reason(), "quota");
        assert.match(await gateway.ok(["gateway", "user", "list"]), /carol .* of 50\.0 KiB\/month/);
        await b.ok(["leave", "net"]);
      },
    );

    step("it comes back after a crash of the gateway, with the same addresses", async ({ gateway, a }) => {
      const talk = `const c = require("node:dgram").createSocket("udp4"); c.send("x", 4545, "${internet4}", () => c.close());`;
      await a.host.exec(process.execPath, ["-e", talk]);
      const flows = async () => (await gateway.host.exec("cat", ["/proc/net/nf_conntrack"])).stdout;
      await waitFor(
        async () => /src=10\.91\.0\.2 .*dport=4545 /.test(await flows()),
        10_000,
        "a flow is there",
      );
      await gateway.crash();
      await gateway.start();
      // Somebody else may get the address now.
      assert.doesNotMatch(await flows(), /dport=4545 /);
      await reachable(a.host, internet4, 60_000);
      assert.equal((await a.json<NetworkDocument>(["network", "net"])).virtualIp, "10.91.0.2/30");
      assert.match(await gateway.ok(["footprint"]), /vpngw-\*/);
    });

    step("into a network, in place of the Internet", async ({ gateway, a, b, web }) => {
      const where = { iex: `${web.address}:${iexPort}`, psk: await pskGenerate() };
      const server = await iexd(web);
      await gateway.ok(["gateway", "stop"]);
      await gateway.join({ ...where, network: "mesh", vip: "10.20.0.1/16", name: "gw" });
      await b.join({ ...where, network: "mesh", vip: "10.20.0.2/16", name: "b" });
      const start = ["gateway", "start", "--listen", `0.0.0.0:${port}`, "--no-internet", "--into"];
      assert.match((await gateway.ctl([...start, "nowhere"])).stderr, /not joined/);
      await gateway.ok([...start, "mesh"]);
      await a.ok(["leave", "net"]);
      const url = `ws://${gateway.host.address}:${port}/`;
      const more = ["--token-file", join(a.host.folder, "alice"), "--route", "93.184.216.0/24"];
      await a.ok(["join", "net", "--gateway", url, ...more]);
      const offered = await a.json<{ routes: { prefix: string; state: string }[] }>(["routes", "list"]);
      assert.deepEqual(
        offered.routes.map(({ prefix, state }) => [prefix, state]),
        [["10.20.0.0/16", "offered"]],
      );
      await a.ok(["routes", "accept", "gateway"]);
      const exit = await a.ctl(["exit-node", "use", "gateway"]);
      assert.match(exit.stderr, /is no exit node\n.*--no-internet/);
      await reachable(a.host, "10.20.0.2");
      assert.equal((await ping(a.host, internet4, { count: 1, waitSeconds: 1 })).received, 0, "the Internet");
      const seen = b.host.spawn("tcpdump", "tcpdump", [
        "-n",
        "-l",
        "-i",
        "vpn-mesh",
        "--immediate-mode",
        "icmp",
      ]);
      await seen.until(() => /listening on/.test(seen.log), 10_000, "tcpdump listens");
      await ping(a.host, "10.20.0.2", { count: 1 });
      await seen.until(
        () => seen.log.includes("10.20.0.1 > 10.20.0.2: ICMP echo request"),
        10_000,
        "it comes from the gateway",
      );
      await seen.stop();
      await b.host.ip("route", "add", "10.91.0.0/16", "dev", "vpn-mesh");
      assert.equal(
        (await ping(b.host, "10.91.0.2", { count: 1, waitSeconds: 1 })).received,
        0,
        "the other way",
      );
      const refused = await gateway.ctl(["leave", "mesh"]);
      assert.equal(refused.code, 1, refused.stderr);
      assert.match(refused.stderr, /clients of the gateway/);
      await gateway.ok(["down", "mesh"]);
      await gateway.ok(["up", "mesh"]);
      await reachable(a.host, "10.20.0.2");
      await gateway.ok(["gateway", "stop"]);
      for (const one of [gateway, b]) await one.ok(["leave", "mesh"]);
      await server.stop();
      await gateway.ok(["gateway", "start", "--listen", `0.0.0.0:${port}`]);
    });

    step("after stop nothing is left", async ({ gateway, a, before }) => {
      await gateway.ok(["gateway", "stop"]);
      await assertUnchanged(gateway.host, before);
      await waitFor(
        async () => (await a.json<NetworkDocument>(["network", "net"])).state === "connecting",
        20_000,
        "alice sees it",
      );
      await a.ok(["leave", "net"]);
      assert.doesNotMatch(await a.host.ip("-br", "link"), /vpn-/);
      await gateway.ok(["gateway", "start", "--open", "--listen", `0.0.0.0:${port}`]);
      const url = `ws://${gateway.host.address}:${port}/`;
      await a.ok(["join", "net", "--gateway", url, ...routes]);
      await reachable(a.host, internet4);
      assert.equal(
        (await ping(a.host, "10.91.0.1", { count: 1, waitSeconds: 1 })).received,
        0,
        "the host is closed",
      );
      assert.equal(await gateway.stop(), 0);
      await assertUnchanged(gateway.host, before);
    });
  },
);
