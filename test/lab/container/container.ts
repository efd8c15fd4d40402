/** A host of the lab that boots a real systemd as its PID 1: systemd-nspawn on an overlay of the cached root file system. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { must, type Result, type RunOptions, run, runSync, waitFor } from "../command.js";
import type { Host } from "../lab.js";
import { repository } from "../lab.js";
import { listCgroups, makeCgroups, removeCgroups } from "./cgroup.js";
import { cacheFolder, rootfs } from "./rootfs.js";

/** Where the container sees this checkout, as far as the installer needs it. */
export const checkout = "/opt/checkout";
const parts = [
  "bin",
  "dist",
  "docs",
  "migrations",
  "scripts",
  "systemd",
  "package.json",
  "package-lock.json",
  "native/build/vpnd.node",
];

const bootMs = 90_000;
const environment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LANG: "C.UTF-8",
  TERM: "dumb",
  SYSTEMD_PAGER: "cat",
  NO_COLOR: "1",
};

export class Container {
  readonly #name: string;
  readonly #folder: string;
  readonly #cgroups: string[];
  #nspawn: ChildProcess | undefined;
  #ended = false;
  readonly #killAll = (): void => this.#end();

  private constructor(readonly host: Host) {
    // In the cache's folder: an overlay on a tmpfs would hold all that is installed in memory.
    mkdirSync(cacheFolder, { recursive: true });
    this.#folder = mkdtempSync(join(cacheFolder, `run-${process.pid}-`));
    this.#name = host.netns.replace(/[^a-z0-9-]/g, "-");
    this.#cgroups = makeCgroups(`vpnd-test-${process.pid}-${host.name}`);
    process.once("exit", this.#killAll);
  }

  /** Boots in the host's network namespace; on failure nothing is left. */
  static async boot(host: Host): Promise<Container> {
    const lower = await rootfs();
    sweep();
    const container = new Container(host);
    try {
      await container.#mount(lower);
      await container.#start();
      return container;
    } catch (error) {
      await container.close();
      throw error;
    }
  }

  /** Runs a command inside as root, or as a user of the container; never rejects for its exit code. */
  exec(
    command: string,
    args: readonly string[] = [],
    options: RunOptions & { user?: string } = {},
  ): Promise<Result> {
    const { user, ...rest } = options;
    const inside = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"];
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const as = user === undefined ? [] : ["runuser", "-u", user, "--"];
    return run(
      "nsenter",
      ["--target", String(this.#leader()), ...inside, "env", "-i", ...variables, ...as, command, ...args],
      rest,
    );
  }

  /** The same, and a bad exit code is an error. */
  async ok(
    command: string,
    args: readonly string[] = [],
    options: RunOptions & { user?: string } = {},
  ): Promise<string> {
    const result = await this.exec(command, args, options);
    if (result.code === 0) return result.stdout;
    throw new Error(
      `${command} ${args.join(" ")}: exit ${result.code}\n${result.stdout}${result.stderr}\n${await this.journal()}`,
    );
  }

  /** A property of a unit. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.ok("systemctl", ["show", "--value", "-p", name, unit])).trim();
  }

  /** The last lines of the journal. */
  async journal(...args: string[]): Promise<string> {
    return (await this.exec("journalctl", ["--no-pager", "-o", "short", "-n", "25", ...args])).stdout;
  }

  /** PID on the host of a process that is `pid` inside. */
  pidOnHost(pid: number): number {
    const leader = this.#leader();
    for (const line of runSync("ps", ["-e", "-o", "pid="]).split("\n")) {
      const candidate = Number(line);
      if (Number.isNaN(candidate) || candidate === 0) continue;
      if (namespacePids(candidate).at(-1) === pid && sameNamespace(candidate, leader)) return candidate;
    }
    throw new Error(`no process ${pid} in the container`);
  }

  /** Shuts it down and removes every trace; idempotent. */
  async close(): Promise<void> {
    if (this.#ended) return;
    const nspawn = this.#nspawn;
    if (nspawn?.exitCode === null && nspawn.signalCode === null) {
      nspawn.kill("SIGTERM");
      await waitFor(
        () => nspawn.exitCode !== null || nspawn.signalCode !== null,
        20_000,
        "the container shuts down",
      ).catch(() => undefined);
    }
    this.#kill();
    await waitFor(() => removeCgroups(this.#cgroups), 10_000, "the container's processes are gone").catch(
      () => undefined,
    );
    this.#end();
  }

  #kill(): void {
    // Killing PID 1 of a namespace kills all in it; killing nspawn alone would not.
    const leader = this.#findLeader();
    if (leader !== undefined) process.kill(leader, "SIGKILL");
    this.#nspawn?.kill("SIGKILL");
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    process.removeListener("exit", this.#killAll);
    this.#kill();
    removeFolder(this.#folder);
    // For exit handlers: what was killed takes a moment to go.
    for (let tries = 0; !removeCgroups(this.#cgroups) && tries < 50; tries += 1) runSync("sleep", ["0.1"]);
    for (const place of ["propagate", "unix-export"]) {
      rmSync(`/run/systemd/nspawn/${place}/${this.#name}`, { recursive: true, force: true });
    }
  }

  async #mount(lower: string): Promise<void> {
    const at = (name: string): string => join(this.#folder, name);
    for (const folder of ["upper", "work", "root"]) mkdirSync(at(folder), { mode: 0o755 });
    const overlay = `lowerdir=${lower},upperdir=${at("upper")},workdir=${at("work")}`;
    await must("mount", ["-t", "overlay", this.#name, "-o", overlay, at("root")]);
    // An empty one would be a first boot.
    writeFileSync(at("root/etc/machine-id"), `${randomBytes(16).toString("hex")}\n`);
    writeFileSync(at("root/etc/hostname"), `${this.host.name}\n`);
    writeFileSync(at("root/etc/hosts"), `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${this.host.name}\n`);
  }

  async #start(): Promise<void> {
    const options = [
      "--quiet",
      "--boot",
      `--directory=${join(this.#folder, "root")}`,
      `--machine=${this.#name}`,
      "--register=no",
      "--keep-unit",
      `--network-namespace-path=/run/netns/${this.host.netns}`,
      "--capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_BPF,CAP_PERFMON",
      // Without these systemd cannot enforce DeviceAllow=, and says nothing.
      "--system-call-filter=bpf",
      "--bind=/dev/net/tun",
      ...parts.map((part) => `--bind-ro=${join(repository, part)}:${checkout}/${part}`),
      // May be a link.
      `--bind-ro=${realpathSync(join(repository, "node_modules"))}:${checkout}/node_modules`,
      "--resolv-conf=off",
      "--timezone=off",
      "--link-journal=no",
      "--console=pipe",
    ];
    const enter =
      'for folder in $1; do echo $$ >"$folder/cgroup.procs"; done; shift; exec systemd-nspawn "$@"';
    const console = openSync(this.#console, "a");
    this.#nspawn = spawn("sh", ["-c", enter, "sh", this.#cgroups.join(" "), ...options], {
      stdio: ["ignore", console, console],
      env: {
        PATH: environment.PATH,
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1",
        SYSTEMD_NSPAWN_TMPFS_TMP: "0",
        SYSTEMD_NSPAWN_API_VFS_WRITABLE: "network",
      },
    });
    closeSync(console);
    const log = (): string => readFileSync(this.#console, "utf8").slice(-2000);
    await waitFor(
      () => {
        if (this.#nspawn?.exitCode !== null) throw new Error(`systemd-nspawn ended\n${log()}`);
        return this.#findLeader() !== undefined;
      },
      bootMs,
      "the container has a PID 1",
      log,
    );
    const state = await this.exec("systemctl", ["is-system-running", "--wait"], { timeoutMs: bootMs });
    if (state.stdout.trim() === "running") return;
    const failed = await this.exec("systemctl", ["--failed", "--no-legend"]);
    throw new Error(`the container's systemd says ${state.stdout.trim()}\n${failed.stdout}${log()}`);
  }

  get #console(): string {
    return join(this.host.logFolder, `${this.host.name}-console.log`);
  }

  #leader(): number {
    const leader = this.#findLeader();
    if (leader === undefined) throw new Error(`the container of ${this.host.name} is not running`);
    return leader;
  }

  /** The child of nspawn that is PID 1 of its own namespace, once it is systemd. */
  #findLeader(): number | undefined {
    const pid = this.#nspawn?.pid;
    if (pid === undefined || !existsSync(`/proc/${pid}/task/${pid}/children`)) return undefined;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
    return children.find(
      (child) => namespacePids(child).at(-1) === 1 && existsSync(`/proc/${child}/root/run/systemd/private`),
    );
  }
}

function removeFolder(folder: string): void {
  runSync("umount", ["--lazy", join(folder, "root")]);
  rmSync(folder, { recursive: true, force: true });
}

/** What a run that was killed could not remove; both names hold its PID. */
function sweep(): void {
  const dead = (pid: string | undefined): boolean => pid !== undefined && !existsSync(`/proc/${pid}`);
  for (const name of readdirSync(cacheFolder)) {
    if (dead(/^run-(\d+)-/.exec(name)?.[1])) removeFolder(join(cacheFolder, name));
  }
  for (const folder of listCgroups("vpnd-test-")) {
    if (dead(/-(\d+)-[^/]*$/.exec(folder)?.[1])) removeCgroups([folder]);
  }
}

/** A process's PIDs from the host's namespace inwards; empty when it has ended. */
function namespacePids(pid: number): number[] {
  try {
    const line = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return line === undefined ? [] : line.split("\t").map(Number);
  } catch {
    return [];
  }
}

function sameNamespace(a: number, b: number): boolean {
  const of = (pid: number): string => runSync("readlink", [`/proc/${pid}/ns/pid`]);
  return of(a) === of(b);
}
