/** Links over TCP: with a classic end, between own ends, encrypted or not, with hostile ends, through restarts. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Result, waitFor } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, iperf, ping, reachable } from "../lab/traffic.js";

interface Scene {
  a: Daemon;
  b: Daemon;
  c: Host;
}

interface NetworkDocument {
  state: string;
  carrier: string;
  mtu: number;
  notes: string[];
  reason?: { code: string };
  tcp?: { role: string; address: string; tap: boolean; encrypted: boolean };
}

interface Joined {
  network: string;
  notes: string[];
}

const program = (name: string): string[] => [
  "--import",
  join(repository, "node_modules/tsx/dist/loader.mjs"),
  join(repository, "test/lab", name),
];

function noise(from: Host, address: string): Promise<Result> {
  return from.exec(process.execPath, [...program("tcp-noise.ts"), address, String(port)]);
}

/** A device as simpletun's users make it, and the program on it. */
async function simpletun(
  host: Host,
  kind: "tun" | "tap",
  vip: string,
  args: readonly string[],
): Promise<Running> {
  const device = `st-${kind}`;
  await host.ip("tuntap", "add", "dev", device, "mode", kind);
  await host.ip("addr", "add", vip, "dev", device);
  await host.ip("link", "set", device, "up");
  return host.spawn("simpletun", process.execPath, [...program("simpletun.ts"), device, kind, ...args]);
}

async function removeSimpletun(host: Host, kind: "tun" | "tap", program: Running): Promise<void> {
  program.kill("SIGKILL");
  await program.ended();
  await host.ip("link", "del", `st-${kind}`);
}

function keyFile(host: Host, name: string, psk: string): string {
  const path = join(host.folder, name);
  writeFileSync(path, `${psk}\n`, { mode: 0o600 });
  return path;
}

const port = 55_555;

interface Routes {
  routes: { prefix: string; state: string }[];
}

async function subnet(daemon: Daemon, prefix: string, state: string): Promise<void> {
  let last: Routes | undefined;
  await waitFor(
    async () => {
      last = await daemon.json<Routes>(["routes", "list"]);
      return last.routes.some((route) => route.prefix === prefix && route.state === state);
    },
    30_000,
    `${prefix} is ${state} at ${daemon.host.name}`,
    () => last,
  );
}

labSuite<Scene>(
  "tcp",
  async (lab) => {
    const [a, b, c] = [await lab.publicHost("a"), await lab.publicHost("b"), await lab.publicHost("c")];
    return { a: await vpnd(a), b: await vpnd(b), c };
  },
  (step) => {
    step("a classic end connects: both ways, learned and marked as foreign", async ({ a, c }) => {
      const joined = await a.json<Joined>([
        "join",
        "classic",
        "--tcp-listen",
        String(port),
        "--vip",
        "10.5.0.1/24",
      ]);
      assert.ok(
        joined.notes.some((note) => /not encrypted/.test(note)),
        JSON.stringify(joined),
      );
      const other = await simpletun(c, "tun", "10.5.0.2/24", ["connect", a.host.address, String(port)]);
      await other.until(() => /connected/.test(other.log), 20_000, "simpletun connects");
      await reachable(c, "10.5.0.1");
      const peer = await a.peerUp("10.5.0.2");
      assert.equal(peer.path, "tcp");
      assert.equal(peer.foreign, true);
      assert.equal((await ping(a.host, "10.5.0.2")).received, 3);
      assert.equal((await ping(a.host, "10.5.0.2", { size: 1472, dontFragment: true })).received, 3);
      const copied = await copyFile(c, a.host, "10.5.0.1", 2_000_000);
      assert.equal(copied.receivedSha256, copied.sentSha256);
      const back = await copyFile(a.host, c, "10.5.0.2", 2_000_000);
      assert.equal(back.receivedSha256, back.sentSha256);
      const document = await a.json<NetworkDocument>(["network", "classic"]);
      assert.equal(document.mtu, 1500);
      assert.deepEqual(document.tcp, { role: "listen", address: String(port), tap: false, encrypted: false });
      assert.ok(document.notes.some((note) => /not encrypted/.test(note)));
      assert.equal(other.code, undefined, "the classic end lives on");
      await removeSimpletun(c, "tun", other);
      await a.peer("10.5.0.2", (one) => one.state === "offline", 20_000, "offline");
    });

    step("the link takes the classic end back when it is there again", async ({ a, c }) => {
      const other = await simpletun(c, "tun", "10.5.0.2/24", ["connect", a.host.address, String(port)]);
      await other.until(() => /connected/.test(other.log), 20_000, "simpletun connects again");
      await reachable(c, "10.5.0.1");
      await removeSimpletun(c, "tun", other);
      await a.ok(["leave", "classic"]);
    });

    step("a classic end is connected to, and is tried until it is there", async ({ a, c }) => {
      const args = ["--tcp-connect", `${c.address}:${port}`, "--vip", "10.5.0.1/30"];
      const silent = await a.ctl(["--timeout", "3s", "join", "classic", ...args]);
      assert.equal(silent.code, 8, silent.stderr);
      assert.match(silent.stderr, /nobody listens there/);
      await a.ok(["join", "classic", "--no-wait", ...args]);
      const early = await a.peers();
      assert.equal(early.peers[0]?.virtualIp, "10.5.0.2", "the other one of two");
      assert.equal(early.peers[0]?.state, "connecting");
      const other = await simpletun(c, "tun", "10.5.0.2/30", ["listen", String(port)]);
      await other.until(() => /connected/.test(other.log), 40_000, "vpnd connects");
      await reachable(a.host, "10.5.0.2");
      await removeSimpletun(c, "tun", other);
      await a.peer("10.5.0.2", (one) => one.state === "connecting", 20_000, "connecting");
      await a.ok(["leave", "classic"]);
    });

    step("two own ends know each other by name and carry TCP both ways", async ({ a, b }) => {
      await a.ok(["join", "--tcp-listen", String(port), "--vip", "10.6.0.1/24", "--name", "alpha"]);
      const there = `${a.host.address}:${port}`;
      await b.ok(["join", "--tcp-connect", there, "--vip", "10.6.0.2/24", "--name", "beta"]);
      const peer = await a.peer(
        "10.6.0.2",
        (one) => one.name === "beta" && one.state === "up",
        20_000,
        "as beta",
      );
      assert.equal(peer.foreign, false);
      await b.peer("10.6.0.1", (one) => one.rttSeconds !== undefined, 20_000, "with a round trip");
      assert.equal((await ping(a.host, "10.6.0.2")).received, 3);
      for (const reverse of [false, true]) {
        const rate = await iperf(b.host, a.host, "10.6.0.1", { seconds: 2, reverse });
        assert.ok(rate > 0);
      }
      const copied = await copyFile(a.host, b.host, "10.6.0.2", 20_000_000);
      assert.equal(copied.receivedSha256, copied.sentSha256);
      assert.match(await b.ok(["ping", "alpha", "-c", "1"]), /tcp/);
      const stats = await a.stats();
      assert.ok(stats.rxBytes > 20_000_000 / 2, JSON.stringify(stats));
    });

    step("the same join again is no error, another one is", async ({ a }) => {
      const same = ["join", "--tcp-listen", String(port), "--vip", "10.6.0.1/24", "--name", "alpha"];
      assert.match(await a.ok(same), /already joined/);
      const other = await a.ctl(["join", "--tcp-listen", "55556", "--vip", "10.6.0.1/24", "--name", "alpha"]);
      assert.equal(other.code, 1);
      assert.match(other.stderr, /--tcp-listen/);
    });

    step("a subnet behind one end is reached from the other, also after restarts", async ({ a, b }, lab) => {
      const lan = await lab.isolatedHost("lan");
      await lab.wire(a.host, "eth1", lan, "eth0");
      await a.host.ip("addr", "add", "172.20.1.1/24", "dev", "eth1");
      await lan.ip("addr", "add", "172.20.1.10/24", "dev", "eth0");
      await lan.ip("route", "add", "default", "via", "172.20.1.1");
      await a.ok(["routes", "offer", "172.20.1.0/24"]);
      await subnet(b, "172.20.1.0/24", "offered");
      assert.doesNotMatch(await b.host.ip("route"), /172\.20/, "nothing is taken unasked");
      await b.ok(["routes", "accept", "alpha"]);
      await reachable(b.host, "172.20.1.10");
      assert.match((await b.peers()).peers[0]?.nodeKey ?? "", /^[0-9a-f]{64}$/);
      await a.crash();
      await subnet(b, "172.20.1.0/24", "offline");
      assert.match(await b.host.ip("route"), /172\.20/, "packets do not go elsewhere meanwhile");
      await a.start();
      await reachable(b.host, "172.20.1.10", 60_000);
      assert.equal(await b.stop(), 0);
      await b.start();
      await reachable(b.host, "172.20.1.10", 60_000);
      await a.ok(["routes", "withdraw"]);
      await waitFor(
        async () => !/172\.20/.test(await b.host.ip("route")),
        20_000,
        "the withdrawn subnet's route goes",
      );
      await b.ok(["routes", "reject", "alpha"]);
    });

    step("hostile connections end nothing and are counted", async ({ a, b }) => {
      const first = await noise(b.host, a.host.address);
      assert.equal(first.code, 0, first.stderr);
      await waitFor(
        async () => ((await a.stats()).drops["second-connection"] ?? 0) >= 5,
        20_000,
        "they are counted",
        async () => (await a.stats()).drops,
      );
      assert.equal((await ping(b.host, "10.6.0.1")).received, 3);
      // Without its peer the link is open to anybody: what that one sends must not end it either.
      await b.ok(["down"]);
      await a.peer("10.6.0.2", (one) => one.state === "offline", 20_000, "offline");
      const more = await noise(b.host, a.host.address);
      assert.equal(more.code, 0, more.stderr);
      await b.ok(["up"]);
      await reachable(b.host, "10.6.0.1", 60_000);
      const after = await a.stats();
      assert.ok((after.drops["malformed-inner"] ?? 0) > 0, JSON.stringify(after.drops));
    });

    step("it comes back after a stop, after a crash, and after the other end's", async ({ a, b }) => {
      assert.equal(await a.stop(), 0);
      assert.doesNotMatch(await a.host.ip("-br", "link"), /vpn-/);
      await b.peer("10.6.0.1", (one) => one.state === "connecting", 30_000, "connecting");
      await a.start();
      await reachable(b.host, "10.6.0.1", 60_000);
      await b.crash();
      await b.start();
      await reachable(b.host, "10.6.0.1", 60_000);
    });

    step("a cable that is cut is noticed at both ends, and mended", async ({ a, b }) => {
      await b.host.nft(
        "add table inet cut; add chain inet cut in { type filter hook input priority 0; policy drop; }",
      );
      await a.peer("10.6.0.2", (one) => one.state === "offline", 60_000, "offline");
      await b.peer("10.6.0.1", (one) => one.state === "connecting", 60_000, "connecting");
      await b.host.nft("delete table inet cut");
      await reachable(b.host, "10.6.0.1", 60_000);
      await a.ok(["leave"]);
      await b.ok(["leave"]);
    });

    step("with a key the link is encrypted, and a wrong key is named", async ({ a, b }) => {
      const psk = await pskGenerate();
      const [here, there] = [keyFile(a.host, "tls", psk), keyFile(b.host, "tls", psk)];
      const listen = ["join", "--tcp-listen", String(port), "--vip", "10.7.0.1/24", "--name", "alpha"];
      const joined = await a.json<Joined>([...listen, "--tls-psk-file", here]);
      assert.ok(!joined.notes.some((note) => /not encrypted/.test(note)), JSON.stringify(joined));
      const connect = ["join", "--tcp-connect", `${a.host.address}:${port}`, "--vip", "10.7.0.2/24"];
      const wrong = keyFile(b.host, "wrong", await pskGenerate());
      const refused = await b.ctl(["--timeout", "3s", ...connect, "--tls-psk-file", wrong]);
      assert.equal(refused.code, 8, refused.stderr);
      assert.match(refused.stderr, /another PSK/);
      await b.ok([...connect, "--name", "beta", "--tls-psk-file", there]);
      const peer = await a.peerUp("10.7.0.2");
      assert.equal(peer.cipher, "TLS_AES_128_GCM_SHA256");
      const secret = "a sentence that must not be seen on the wire";
      const capture = a.host.spawn("tcpdump", "tcpdump", [
        "-i",
        "eth0",
        "--immediate-mode",
        "-Z",
        "root",
        "-U",
        "-w",
        join(a.host.folder, "cap"),
        "tcp",
      ]);
      await capture.until(() => /listening on/.test(capture.log), 10_000, "tcpdump listens");
      const hex = Buffer.from(secret.slice(0, 16)).toString("hex");
      const pinged = await b.host.exec("ping", ["-c", "3", "-i", "0.2", "-p", hex, "10.7.0.1"]);
      assert.equal(pinged.code, 0, pinged.stdout);
      const captured = (): string => readFileSync(join(a.host.folder, "cap"), "latin1");
      await capture.until(() => captured().length > 500, 10_000, "the pings are captured");
      await capture.stop();
      const dump = captured();
      assert.ok(!dump.includes(secret.slice(0, 16)), "the text crossed in clear");
      const copied = await copyFile(a.host, b.host, "10.7.0.2", 20_000_000);
      assert.equal(copied.receivedSha256, copied.sentSha256);
      const status = await a.ok(["psk", "status"]);
      assert.match(status, /default/);
    });

    step("who has no key, and who speaks no TLS, gets nowhere and disturbs nobody", async ({ a, b }) => {
      await noise(b.host, a.host.address);
      assert.equal((await ping(b.host, "10.7.0.1")).received, 3);
      await a.ok(["leave"]);
      await b.ok(["leave"]);
    });

    step("Ethernet frames cross between own ends, and to a classic end", async ({ a, b, c }) => {
      await a.ok(["join", "--tcp-listen", String(port), "--vip", "10.8.0.1/24", "--tap"]);
      const there = `${a.host.address}:${port}`;
      await b.ok(["join", "--tcp-connect", there, "--vip", "10.8.0.2/24", "--tap", "--name", "beta"]);
      await reachable(b.host, "10.8.0.1");
      const copied = await copyFile(b.host, a.host, "10.8.0.1", 5_000_000);
      assert.equal(copied.receivedSha256, copied.sentSha256);
      await b.ok(["leave"]);
      await a.peer("10.8.0.2", (one) => one.state === "offline", 20_000, "offline");
      const other = await simpletun(c, "tap", "10.8.0.2/24", ["connect", a.host.address, String(port)]);
      await reachable(c, "10.8.0.1");
      const peer = await a.peerUp("10.8.0.2");
      assert.equal(peer.foreign, true);
      assert.equal(peer.name, undefined, "the name was that of the end before it");
      await removeSimpletun(c, "tap", other);
      await a.ok(["leave"]);
    });

    step("bad options are refused in words", async ({ a }) => {
      for (const [args, code, text] of [
        [["--tcp-listen", "0", "--vip", "10.5.0.1/24"], 2, /no TCP port/],
        [["--tcp-connect", "a b:1", "--vip", "10.5.0.1/24"], 2, /no address/],
        [["--tcp-listen", "1", "--tcp-connect", "h:1", "--vip", "10.5.0.1/24"], 2, /exclude each other/],
        [["--tcp-listen", "5000"], 2, /--vip/],
        [["--tcp-listen", "5000", "--vip", "10.5.0.1/24", "--iex", "h:1"], 2, /--iex is not an option/],
        [["--iex", "h:1", "--vip", "10.5.0.1/24", "--tap"], 2, /--tap is not an option/],
        [["--tcp-listen", "192.0.2.77:5000", "--vip", "10.5.0.1/24"], 1, /no address 192\.0\.2\.77/],
        [
          ["--timeout", "1s", "--tcp-connect", "10.5.0.2:5000", "--vip", "10.5.0.1/24"],
          8,
          /inside the link's own/,
        ],
      ] as const) {
        const result = await a.ctl(["join", ...args]);
        assert.equal(result.code, code, `${args.join(" ")}: ${result.stderr}`);
        assert.match(result.stderr, text);
      }
      assert.doesNotMatch(await a.host.ip("-br", "link"), /vpn-/);
    });
  },
);
