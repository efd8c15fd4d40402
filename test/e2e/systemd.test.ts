/** The service under a real systemd: installed, used, killed, stopped, taken away. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after } from "node:test";
import { waitFor } from "../lab/command.js";
import { Container, checkout } from "../lab/container/container.js";
import { repository } from "../lab/lab.js";
import { type Daemon, iexPort, type PeersJson, pskGenerate, vpnd } from "../lab/programs.js";
import { assertUnchanged, difference, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { ping } from "../lab/traffic.js";
import { giveResolvConf } from "../support/resolv-conf.js";

interface Scene {
  host: Container;
  other: Daemon;
  psk: string;
  network: string;
  files: string;
}

const vip = "10.60.0.1";
const otherVip = "10.60.0.2";
const installer = `${checkout}/scripts/install-service.sh`;
/** systemd-analyze's exposure, in tenths. */
const mostExposed = 21;

let booted: Container | undefined;
after(() => booted?.close());

/** Owner, mode, size and place of all that an installation could touch. */
async function files(host: Container): Promise<string> {
  const folders = ["/etc", "/usr", "/opt", "/var/lib", "/run/vpnd"];
  const noise = [
    "/etc/*-",
    "/etc/.updated",
    "/etc/.pwd.lock",
    "/var/lib/systemd*",
    checkout,
    "/var/lib/private*",
  ];
  const skip = noise.flatMap((path) => ["-path", path, "-prune", "-o"]);
  const format = ["-type", "d", "-printf", "%p %M %u %g\\n", "-o", "-printf", "%p %M %u %g %s %l\\n"];
  const { stdout } = await host.exec("find", [...folders, ...skip, ...format]);
  return stdout.split("\n").sort().join("\n");
}

async function peers(host: Container): Promise<PeersJson> {
  return JSON.parse(await host.ok("vpnctl", ["--json", "peers"], { user: "alice" })) as PeersJson;
}

async function peerUp(host: Container): Promise<void> {
  let last: PeersJson | undefined;
  await waitFor(
    async () => {
      last = await peers(host);
      return last.peers.some((peer) => peer.virtualIp === otherVip && peer.state === "up");
    },
    60_000,
    `${otherVip} is up`,
    () => last?.peers,
  );
}

/** Waits until systemd has started the unit again, in another process than `pid`. */
async function comesBack(host: Container, unit: string, pid: string): Promise<void> {
  let now: string[] = [];
  await waitFor(
    async () => {
      now = [await host.property(unit, "ActiveState"), await host.property(unit, "MainPID")];
      return now[0] === "active" && now[1] !== pid && now[1] !== "0";
    },
    60_000,
    `${unit} comes back`,
    () => now,
  );
}

labSuite<Scene>(
  "systemd",
  async (lab) => {
    const machine = await lab.publicHost("a");
    const host = await Container.boot(machine);
    booted = host;
    for (const user of ["alice", "bob"]) await host.ok("useradd", ["--create-home", user]);
    const peer = await lab.publicHost("b");
    giveResolvConf(peer.netns, `nameserver ${peer.address}\n`);
    const other = await vpnd(peer);
    return {
      host,
      other,
      psk: await pskGenerate(),
      network: await snapshot(machine),
      files: await files(host),
    };
  },
  (step) => {
    step("the installer puts everything in place, and a second run changes nothing", async ({ host }) => {
      await host.ok(installer);
      // What vpnd reads from its own package.
      await host.ok("test", ["-e", "/usr/local/lib/vpnd/migrations/postgres"]);
      const first = await files(host);
      await host.ok("systemctl", ["start", "iexd"]);
      const pid = await host.property("iexd", "MainPID");
      await host.ok(installer);
      assert.deepEqual(difference(first, (await files(host)).replace(/^\/var\/lib\/iexd .*\n/m, "")), []);
      assert.equal(await host.property("iexd", "MainPID"), pid, "not restarted");
    });

    step("the installer refuses what it cannot do, and says what to do", async ({ host }) => {
      for (const [args, code] of [
        [["--bogus"], 2],
        [["--prefix", "relative"], 2],
        [["--prefix", "/root/x"], 2],
        [["--purge"], 2],
      ] as const) {
        const result = await host.exec(installer, args);
        assert.equal(result.code, code, args.join(" "));
        assert.match(result.stderr, /^install-service: .+\n.+\n$/);
      }
      assert.equal((await host.exec(installer, [], { user: "bob" })).code, 4);
      const second = await host.exec(installer, ["--prefix", "/opt/second"]);
      assert.equal(second.code, 1, "units of another prefix are not replaced");
    });

    step("systemctl start brings up vpnd, which says how it is", async ({ host }) => {
      await host.ok("systemctl", ["start", "vpnd"]);
      assert.equal(await host.property("vpnd", "ActiveState"), "active");
      assert.equal(await host.property("vpnd", "StatusText"), "no network joined");
      assert.equal(await host.property("iexd", "StatusText"), "serving nodes");
      assert.equal(
        (await host.ok("stat", ["-c", "%A %U %G", "/run/vpnd/vpnd.sock"])).trim(),
        "srw-rw---- root vpnd",
      );
      assert.equal((await host.ok("stat", ["-c", "%A %U", "/var/lib/vpnd"])).trim(), "drwx------ root");
    });

    step("a user of the group joins, lists peers and watches counters", async ({ host, other, psk }) => {
      await host.ok("usermod", ["-aG", "vpnd", "alice"]);
      const iex = `${host.host.address}:${iexPort}`;
      const join = ["join", "--iex", iex, "--vip", `${vip}/24`, "--psk-file", "-"];
      const joined = await host.ok("vpnctl", join, { user: "alice", input: `${psk}\n` });
      assert.match(joined, new RegExp(vip.replaceAll(".", "\\.")));
      await other.join({ iex, psk, vip: `${otherVip}/24`, name: "b" });
      await peerUp(host);
      assert.equal((await ping(other.host, vip, { count: 3 })).received, 3);
      const table = await host.ok("vpnctl", ["peers"], { user: "alice" });
      assert.match(table, /10\.60\.0\.2/);
      const watch =
        "TERM=xterm timeout --foreground --preserve-status -s INT 6 vpnctl stats --watch --interval 1s";
      const screen = await host.exec("script", ["-qec", watch, "/dev/null"], { user: "alice" });
      assert.equal(screen.code, 130, screen.stdout);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal's own
      assert.match(screen.stdout, /\x1b\[/, "redrawn on the terminal");
      assert.match(screen.stdout, /default/);
    });

    step("systemctl status follows networks and peers", async ({ host }) => {
      let last = "";
      await waitFor(
        async () => {
          last = await host.property("vpnd", "StatusText");
          return last === "1 of 1 network up, 1 of 1 peer up";
        },
        30_000,
        "the status line tells of the peer",
        () => last,
      );
    });

    step("systemd-resolved asks vpnd for names of the network, and for nothing else", async ({ host }) => {
      await host.ok("systemctl", ["start", "systemd-resolved"]);
      const domains = async (): Promise<string> => (await host.exec("resolvectl", ["domain"])).stdout;
      const device = "vpn-default";
      await waitFor(
        async () => (await domains()).includes(`(${device}): ~default.vpn ~0.60.10.in-addr.arpa`),
        30_000,
        "vpnd has told systemd-resolved",
        domains,
      );
      assert.match(await host.ok("resolvectl", ["query", "b.default.vpn"]), new RegExp(otherVip));
      assert.match(await host.ok("resolvectl", ["query", otherVip]), /b\.default\.vpn/);
      assert.match((await host.exec("resolvectl", ["query", "c.default.vpn"])).stderr, /not found/);
      assert.match(await host.ok("resolvectl", ["default-route", device]), /no$/m);
      assert.match(await host.ok("vpnctl", ["network"], { user: "alice" }), /asked by systemd-resolved/);
      assert.match(await host.ok("vpnctl", ["footprint"], { user: "alice" }), /resolver +systemd-resolved/);
      await host.ok("vpnctl", ["down"], { user: "alice" });
      assert.doesNotMatch(await domains(), /default\.vpn/);
      await host.ok("vpnctl", ["up"], { user: "alice" });
      await peerUp(host);
      await waitFor(
        async () => (await domains()).includes("~default.vpn"),
        20_000,
        "names are back",
        domains,
      );
      await host.ok("systemctl", ["stop", "systemd-resolved"]);
    });

    step(
      "names go through an exit node: by systemd-resolved, and by resolv.conf without it",
      async (scene) => {
        const { host, other } = scene;
        const name = "www.example.com";
        const answer = "192.0.2.80";
        const dnsArgs = ["--import", "tsx", join(repository, "test/lab/dns-server.ts"), other.host.address];
        const dns = other.host.spawn("dns", process.execPath, [...dnsArgs, "example.com", answer]);
        await dns.until(() => dns.log.includes("listening"), 20_000, "the DNS server listens");
        await other.ok(["exit-node", "offer"]);
        const vpnctl = (...args: string[]): Promise<string> => host.ok("vpnctl", args, { user: "alice" });
        await waitFor(async () => /\bb\b/.test(await vpnctl("exit-node", "list")), 20_000, "b offers");
        const domains = async (): Promise<string> => (await host.exec("resolvectl", ["domain"])).stdout;
        await host.ok("systemctl", ["start", "systemd-resolved"]);
        await vpnctl("exit-node", "use", "b");
        await waitFor(async () => (await domains()).includes("~."), 30_000, "all names go there", domains);
        assert.match(await host.ok("resolvectl", ["query", "--legend=no", name]), /192\.0\.2\.80/);
        await vpnctl("exit-node", "off");
        assert.doesNotMatch(await domains(), /~\./);
        await host.ok("systemctl", ["stop", "systemd-resolved"]);

        // The service may write it if it was there when it started.
        const file = "/etc/resolv.conf";
        const before = "# of the machine\nnameserver 203.0.113.250\noptions timeout:1 attempts:1\n";
        const link = (await host.ok("readlink", [file])).trim();
        await host.ok("rm", [file]);
        await host.ok("tee", [file], { input: before });
        await host.ok("systemctl", ["restart", "vpnd"]);
        await peerUp(host);
        await waitFor(async () => /\bb\b/.test(await vpnctl("exit-node", "list")), 20_000, "b offers");
        await vpnctl("exit-node", "use", "b");
        assert.match(await host.ok("cat", [file]), /^nameserver 10\.60\.0\.1$/m);
        const look = async (): Promise<string> => (await host.exec("getent", ["ahostsv4", name])).stdout;
        await waitFor(async () => (await look()).startsWith(answer), 30_000, `${name} is ${answer}`, look);
        const pid = await host.property("vpnd", "MainPID");
        await host.ok("systemctl", ["kill", "-s", "KILL", "--kill-whom=main", "vpnd"]);
        await waitFor(async () => (await host.ok("cat", [file])) === before, 20_000, "the file is back");
        await comesBack(host, "vpnd", pid);
        await peerUp(host);
        await vpnctl("exit-node", "off");
        assert.equal(await host.ok("cat", [file]), before);
        await host.ok("ln", ["-sfn", link, file]);
        await other.ok(["exit-node", "withdraw"]);
        await dns.stop();
      },
    );

    step("a user outside the group gets exit 4 and the command that helps", async ({ host }) => {
      for (const command of [["peers"], ["down"], ["status"]]) {
        const result = await host.exec("vpnctl", command, { user: "bob" });
        assert.equal(result.code, 4, `${command.join(" ")}: ${result.stderr}`);
        assert.match(result.stderr, /usermod|group/);
        assert.equal(result.stdout, "");
      }
    });

    step("the units are shut in", async ({ host }) => {
      for (const unit of ["vpnd", "iexd"]) {
        const args = ["security", "--no-pager", `--threshold=${mostExposed}`, `${unit}.service`];
        const { code, stdout } = await host.exec("systemd-analyze", args);
        assert.equal(code, 0, stdout.slice(-300));
        const capabilities = await host.ok("sh", [
          "-c",
          `grep -h ^CapBnd /proc/$(systemctl show --value -p MainPID ${unit})/status`,
        ]);
        assert.match(capabilities.trim(), unit === "vpnd" ? /:\s*0{12}1400$/ : /:\s*0{13}400$/);
      }
      assert.equal(await host.property("vpnd", "LimitCORE"), "0");
    });

    step("systemctl reload reads the config, and a bad one changes nothing", async ({ host }) => {
      const file = "/etc/vpnd/vpnd.toml";
      const pid = await host.property("vpnd", "MainPID");
      for (const [input, said] of [
        ["no_such_key = 1\n", /no_such_key/],
        ['[log]\nlevel = "debug"\n', /config reloaded/],
      ] as const) {
        await host.ok("tee", [file], { input });
        await host.ok("systemctl", ["reload", "vpnd"]);
        let last = "";
        await waitFor(
          async () => {
            last = await host.journal("-u", "vpnd");
            return said.test(last) && (await host.property("vpnd", "SubState")) === "running";
          },
          20_000,
          `vpnd has reloaded ${input}`,
          () => last,
        );
        await peerUp(host);
      }
      await host.ok("rm", [file]);
      assert.equal(await host.property("vpnd", "MainPID"), pid, "the same process");
    });

    step("a stopped event loop is killed by the watchdog and comes back", async ({ host }) => {
      for (const unit of ["vpnd", "iexd"]) {
        await host.ok("mkdir", ["-p", `/run/systemd/system/${unit}.service.d`]);
        const input = "[Service]\nWatchdogSec=8\n";
        await host.ok("tee", [`/run/systemd/system/${unit}.service.d/test.conf`], { input });
      }
      await host.ok("systemctl", ["daemon-reload"]);
      await host.ok("systemctl", ["restart", "iexd", "vpnd"]);
      const stopped = async (unit: string): Promise<void> => {
        const pid = await host.property(unit, "MainPID");
        await host.ok("kill", ["-STOP", pid]);
        await comesBack(host, unit, pid);
        assert.match(await host.journal("-u", unit), /[Ww]atchdog timeout/);
        assert.equal(await host.property(unit, "NRestarts"), "1");
      };
      await Promise.all([stopped("vpnd"), stopped("iexd")]);
      await peerUp(host);
    });

    step("a killed vpnd comes back into its network", async ({ host, other }) => {
      const pid = await host.property("vpnd", "MainPID");
      await host.ok("systemctl", ["kill", "-s", "KILL", "--kill-whom=main", "vpnd"]);
      await comesBack(host, "vpnd", pid);
      await peerUp(host);
      assert.equal((await ping(other.host, vip, { count: 2 })).received, 2);
    });

    step("a kill switch outlives the service, and is there at boot before the network", async ({ host }) => {
      const table = ["list", "table", "inet", "vpnd_kill_switch"];
      await host.ok("systemctl", ["enable", "vpnd"]);
      assert.equal((await host.ok("systemctl", ["is-enabled", "vpnd-kill-switch"])).trim(), "enabled");
      const unit = "vpnd-kill-switch.service";
      assert.match(await host.property(unit, "Before"), /network-pre\.target/);
      // With none on it does nothing.
      await host.ok("systemctl", ["start", unit]);
      assert.equal((await host.exec("nft", table)).code, 1);
      // The server that the other one talks to is on this host too, and is not vpnd.
      const endpoint = (await peers(host)).peers.find((peer) => peer.virtualIp === otherVip)?.endpoint;
      assert.ok(endpoint);
      await host.ok("vpnctl", ["kill-switch", "on", "--allow", endpoint], { user: "alice" });
      await host.ok("systemctl", ["stop", "vpnd"]);
      assert.match(await host.journal("-u", "vpnd"), /the kill switch stays on/);
      await host.ok("nft", table);
      // As a boot would find it.
      await host.ok("nft", ["delete", ...table.slice(1)]);
      await host.ok("systemctl", ["restart", unit]);
      await host.ok("nft", table);
      // This one flushes all tables when it starts, is reloaded, and stops.
      await host.ok("systemctl", ["start", "nftables"]);
      for (const verb of ["restart", "reload"]) {
        await host.ok("systemctl", [verb, "nftables"]);
        const back = async () => (await host.exec("nft", table)).code === 0;
        await waitFor(back, 20_000, `the kill switch is back after ${verb} of nftables`);
      }
      await host.ok("systemctl", ["stop", "nftables"]);
      const exposed = ["security", "--no-pager", `--threshold=${mostExposed}`, unit];
      assert.equal((await host.exec("systemd-analyze", exposed)).code, 0);
      const refused = await host.exec(installer, ["--undo"]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /kill switch is on\n.*kill-switch off/);
      await host.ok("systemctl", ["start", "vpnd"]);
      await peerUp(host);
      await host.ok("vpnctl", ["kill-switch", "off"], { user: "alice" });
      assert.equal((await host.exec("nft", table)).code, 1);
      await host.ok("systemctl", ["stop", unit]);
      await host.ok("systemctl", ["disable", "vpnd"]);
    });

    step("systemctl stop leaves nothing", async ({ host, network }) => {
      const began = performance.now();
      await host.ok("systemctl", ["stop", "vpnd", "iexd"]);
      assert.equal(await host.property("vpnd", "Result"), "success", `after ${performance.now() - began} ms`);
      assert.equal((await host.exec("pgrep", ["-x", "node"])).stdout, "");
      assert.equal((await host.exec("test", ["-e", "/run/vpnd"])).code, 1);
      await assertUnchanged(host.host, network);
      assert.equal((await host.ok("systemctl", ["--failed", "--no-legend"])).trim(), "");
    });

    step("undo takes away what the installer made, and keeps keys until told", async (scene) => {
      const { host } = scene;
      await host.ok("rm", ["-r", "/run/systemd/system/vpnd.service.d", "/run/systemd/system/iexd.service.d"]);
      await host.ok(installer, ["--undo"]);
      assert.equal((await host.exec("test", ["-d", "/var/lib/vpnd/secrets"])).code, 0);
      const elsewhere = ["--prefix", "/opt/vpnd"];
      await host.ok(installer, elsewhere);
      await host.ok("systemctl", ["start", "vpnd"]);
      const pid = await host.property("vpnd", "MainPID");
      assert.match(await host.ok("cat", [`/proc/${pid}/cmdline`]), /\/opt\/vpnd\/lib\/vpnd\//);
      await host.ok(installer, [...elsewhere, "--undo", "--purge"]);
      assert.deepEqual(difference(scene.files, await files(host)), []);
      assert.equal((await host.exec("getent", ["group", "vpnd"])).code, 2);
      assert.equal((await host.exec("systemctl", ["cat", "vpnd"])).code, 1);
      assert.match(await host.ok(installer, ["--undo"]), /nothing is installed/);
    });
  },
);
