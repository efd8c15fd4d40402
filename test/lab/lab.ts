/**
 * A small internet out of network namespaces: one public segment, routers with NATs on it, hosts behind them.
 *
 *   internet  bridge "br0", 203.0.113.254/24, 2001:db8::fe/64, default route of everybody on the public side
 *   router    "wan" 203.0.113.N/24 on the public segment, "lan" a bridge with the inner subnet's .1
 *   host      "eth0", either public or on a router's LAN
 */
import { appendFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { takeResolvConf } from "../support/resolv-conf.js";
import { must, run, runSync } from "./command.js";
import { lastWords } from "./last-words.js";
import { Machine } from "./machine.js";
import { type NatKind, type NatOptions, ruleset, translates } from "./nat.js";

export const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * A bridge with an address of its own: else it takes the lowest one among its ports, and a host that joins changes the
 * gateway's address under everybody who has it in the neighbour table.
 */
const bridge = ["address", "02:00:00:00:00:fe", "type", "bridge"];

export class Host extends Machine {
  /** Of eth0, without prefix length. */
  address = "";
  address6 = "";
}

export class Router extends Machine {
  publicAddress = "";
  subnet = "";
  hosts = 0;
}

const living = new Set<Lab>();
let labs = 0;

export class Lab {
  readonly folder: string;
  readonly logFolder: string;
  readonly #machines: Machine[] = [];
  readonly #prefix: string;
  #internet: Machine | undefined;
  #publicNodes = 0;
  #routedSubnets = 0;
  #failed = false;
  #closed = false;

  private constructor(readonly name: string) {
    labs += 1;
    this.#prefix = `vl${process.pid}${labs === 1 ? "" : `.${labs}`}-`;
    this.folder = mkdtempSync(join(tmpdir(), `vl-${process.pid}-`));
    this.logFolder = join(this.folder, "logs");
    mkdirSync(this.logFolder);
  }

  /** Needs root. Removes what labs of dead processes left. */
  static async create(name: string): Promise<Lab> {
    if (process.getuid?.() !== 0)
      throw new Error(
        "the lab makes network namespaces and needs root\nrun it with: sudo -E npm run test:e2e",
      );
    await sweep();
    const lab = new Lab(name);
    living.add(lab);
    installHandlers();
    try {
      await lab.#buildInternet();
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** A host with a public address and no firewall. */
  async publicHost(name: string): Promise<Host> {
    const host = await this.#add(new Host(name, ...this.#placeOf(name)));
    const number = await this.#attachPublic(host, "eth0");
    host.address = `203.0.113.${number}`;
    host.address6 = `2001:db8::${number}`;
    return host;
  }

  /**
   * A router on the public segment. With NAT its subnet defaults to 192.168.10.0/24, the same for all of them; without,
   * it is 198.51.100.(16 n)/28 and 2001:db8:n::/64, routed from everywhere.
   */
  async router(name: string, kind: NatKind, options: NatOptions = {}): Promise<Router> {
    const router = await this.#add(new Router(name, ...this.#placeOf(name)));
    const number = await this.#attachPublic(router, "wan");
    router.publicAddress = `203.0.113.${number}`;
    await router.sysctl("net.ipv4.ip_forward", "1");
    await router.sysctl("net.ipv6.conf.all.forwarding", "1");
    await router.ip("link", "add", "lan", ...bridge);
    if (translates(kind)) {
      router.subnet = "192.168.10.0/24";
      await router.ip("addr", "add", "192.168.10.1/24", "dev", "lan");
    } else {
      this.#routedSubnets += 1;
      const base = 16 * this.#routedSubnets;
      router.subnet = `198.51.100.${base}/28`;
      await router.ip("addr", "add", `198.51.100.${base + 1}/28`, "dev", "lan");
      await router.ip("addr", "add", `2001:db8:${this.#routedSubnets}::1/64`, "dev", "lan");
      const internet = this.internet;
      await internet.ip("route", "add", router.subnet, "via", router.publicAddress);
      const subnet6 = `2001:db8:${this.#routedSubnets}::/64`;
      await internet.ip("-6", "route", "add", subnet6, "via", `2001:db8::${number}`);
    }
    await router.ip("link", "set", "lan", "up");
    const rules = ruleset(kind, options);
    if (rules !== "") await router.nft(rules);
    return router;
  }

  /** A host on a router's LAN: the first one gets .10 (.2 in a routed subnet) in the private subnet. */
  async hostBehind(name: string, router: Router): Promise<Host> {
    const host = await this.#add(new Host(name, ...this.#placeOf(name)));
    router.hosts += 1;
    const port = `p${router.hosts}`;
    await this.#wire(host, "eth0", router, port);
    await router.ip("link", "set", port, "master", "lan", "up");
    const slash = router.subnet.indexOf("/");
    const length = router.subnet.slice(slash);
    const bytes = router.subnet.slice(0, slash).split(".").map(Number);
    const base = bytes[3] ?? 0;
    const network = bytes.slice(0, 3).join(".");
    const own = base === 0 ? 9 + router.hosts : base + 1 + router.hosts;
    host.address = `${network}.${own}`;
    await host.ip("addr", "add", `${host.address}${length}`, "dev", "eth0");
    await host.ip("link", "set", "eth0", "up");
    await host.ip("route", "add", "default", "via", `${network}.${base + 1}`);
    if (base !== 0) {
      host.address6 = `2001:db8:${base / 16}::${own}`;
      await host.ip("addr", "add", `${host.address6}/64`, "dev", "eth0");
      await host.ip("-6", "route", "add", "default", "via", `2001:db8:${base / 16}::1`);
    }
    return host;
  }

  /** A host without any network, to be wired. */
  async isolatedHost(name: string): Promise<Host> {
    return this.#add(new Host(name, ...this.#placeOf(name)));
  }

  /** Gives two machines a port each that are connected, both up. */
  async wire(a: Machine, aPort: string, b: Machine, bPort: string): Promise<void> {
    await this.#wire(a, aPort, b, bPort);
    await a.ip("link", "set", aPort, "up");
    await b.ip("link", "set", bPort, "up");
  }

  /** Limits what a host sends: token bucket of tc. */
  async shape(host: Host, rate: string, burst = "128kb"): Promise<void> {
    const where = ["-n", host.netns, "qdisc", "replace", "dev", "eth0", "root"];
    await must("tc", [...where, "tbf", "rate", rate, "burst", burst, "latency", "50ms"]);
  }

  get internet(): Machine {
    if (this.#internet === undefined) throw new Error("the lab is not built");
    return this.#internet;
  }

  /** Keeps the logs at `close`. */
  markFailed(reason: unknown): void {
    this.#failed = true;
    if (reason instanceof Error) reason.stack += `\n${lastWords(this.logFolder).join("\n")}`;
    appendFileSync(
      join(this.logFolder, "failures.log"),
      `${reason instanceof Error ? reason.stack : reason}\n`,
    );
  }

  /** Idempotent. Ends the programs, removes the namespaces; keeps the logs in .test-logs/NAME after a failure. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all(this.#machines.map((machine) => machine.stopAll()));
    for (const machine of this.#machines) {
      await killInside(machine.netns);
      await run("ip", ["netns", "del", machine.netns]);
      takeResolvConf(machine.netns);
    }
    this.#finish();
  }

  /** The same where nothing can be awaited. */
  closeNow(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#failed = true;
    for (const machine of this.#machines) {
      machine.killAll();
      for (const pid of runSync("ip", ["netns", "pids", machine.netns]).split("\n")) kill(pid);
      runSync("ip", ["netns", "del", machine.netns]);
      takeResolvConf(machine.netns);
    }
    this.#finish();
  }

  #finish(): void {
    living.delete(this);
    if (this.#failed) {
      const kept = join(repository, ".test-logs", this.name);
      rmSync(kept, { recursive: true, force: true });
      cpSync(this.logFolder, kept, { recursive: true });
      process.stderr.write(`# logs are kept in .test-logs/${this.name}\n`);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  #placeOf(name: string): [string, string, string] {
    return [`${this.#prefix}${name}`, join(this.folder, name), this.logFolder];
  }

  async #add<T extends Machine>(machine: T): Promise<T> {
    this.#machines.push(machine);
    await machine.create();
    return machine;
  }

  async #buildInternet(): Promise<void> {
    const internet = await this.#add(new Machine("internet", ...this.#placeOf("internet")));
    this.#internet = internet;
    await internet.sysctl("net.ipv4.ip_forward", "1");
    await internet.sysctl("net.ipv6.conf.all.forwarding", "1");
    // Hosts on the segment would otherwise be told to talk past the router, which they may, but not deterministically.
    await internet.sysctl("net.ipv4.conf.all.send_redirects", "0");
    await internet.sysctl("net.ipv4.conf.default.send_redirects", "0");
    await internet.ip("link", "add", "br0", ...bridge);
    await internet.ip("addr", "add", "203.0.113.254/24", "dev", "br0");
    await internet.ip("addr", "add", "2001:db8::fe/64", "dev", "br0");
    await internet.ip("link", "set", "br0", "up");
  }

  async #wire(a: Machine, aPort: string, b: Machine, bPort: string): Promise<void> {
    const peer = ["type", "veth", "peer", "name", bPort, "netns", b.netns];
    await must("ip", ["link", "add", aPort, "netns", a.netns, ...peer]);
  }

  async #attachPublic(machine: Machine, device: string): Promise<number> {
    this.#publicNodes += 1;
    const number = this.#publicNodes;
    await this.#wire(machine, device, this.internet, `w${number}`);
    await this.internet.ip("link", "set", `w${number}`, "master", "br0", "up");
    await machine.ip("addr", "add", `203.0.113.${number}/24`, "dev", device);
    await machine.ip("addr", "add", `2001:db8::${number}/64`, "dev", device);
    await machine.ip("link", "set", device, "up");
    await machine.ip("route", "add", "default", "via", "203.0.113.254");
    await machine.ip("-6", "route", "add", "default", "via", "2001:db8::fe");
    return number;
  }
}

function kill(pid: string): void {
  if (!/^\d+$/.test(pid)) return;
  try {
    process.kill(Number(pid), "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}

async function killInside(netns: string): Promise<void> {
  for (const pid of (await run("ip", ["netns", "pids", netns])).stdout.split("\n")) kill(pid);
}

/** Namespaces and folders carry the PID of the process that made them; a dead one cannot remove its own. */
async function sweep(): Promise<void> {
  const { stdout } = await run("ip", ["netns", "list"]);
  for (const line of stdout.split("\n")) {
    const netns = line.split(" ")[0] ?? "";
    const pid = /^vl(\d+)(\.\d+)?-/.exec(netns)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await killInside(netns);
    await run("ip", ["netns", "del", netns]);
    takeResolvConf(netns);
  }
  for (const name of readdirSync(tmpdir())) {
    const pid = /^vl-(\d+)-\w+$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

let handlers = false;
function installHandlers(): void {
  if (handlers) return;
  handlers = true;
  const closeAll = (): void => {
    for (const lab of living) lab.closeNow();
  };
  process.once("exit", closeAll);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.once(signal, () => {
      closeAll();
      process.exit(code);
    });
}
