import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { VpnError } from "../../../common/errors.js";
import type { ResolverState } from "../../core/system/resolver-items.js";
import type { Action } from "../../core/system/undo.js";
import { errorCode } from "../atomic-file.js";
import { resolverExecutor } from "./resolver.js";

/** What a device is opened for; "plain": without vnet headers, as other programs leave it. */
export type TunUse = "one-queue" | "queues" | "plain" | "tap" | "plain-tap";

/** How the door touches the machine; replaced in tests. */
export interface Executor {
  run(action: Action): Promise<void>;
  /** Standard output of `ip -j ARGS`, parsed; undefined when `ip` says that the thing does not exist. */
  readIp(args: readonly string[]): Promise<unknown>;
  readSysctl(key: string): Promise<string | undefined>;
  /** A small file; undefined when there is none. */
  readText(path: string): Promise<string | undefined>;
  /** Folders that a file of this path still lacks, the outermost first. */
  missingFolders(path: string): Promise<string[]>;
  /** "family name" of each table; empty when nft is not installed. */
  nftTables(): Promise<string[]>;
  /** Who resolves names here, with the settings of these devices, which exist. */
  readResolver(devices: readonly string[]): Promise<ResolverState>;
  /** Opens (and thereby makes, if there is none) a TUN device. */
  openTun(name: string, use?: TunUse): { fd: number };
  closeFd(fd: number): void;
}

const timeoutMs = 10_000;

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program with arguments (no shell) and bounded output and time. */
function runProgram(program: string, args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: timeoutMs,
      maxBuffer: 64 << 20,
      env: { LC_ALL: "C", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    };
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr });
      if (typeof error.code === "number") return resolve({ code: error.code, stdout, stderr });
      reject(cannotRun(program, error));
    });
    child.stdin?.end();
  });
}

const packages: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  resolvectl: "systemd-resolved",
};

function cannotRun(program: string, error: Error): VpnError {
  const code = errorCode(error);
  if (code === "ENOENT") {
    return new VpnError("failed", `cannot run ${program}: it is not installed`, {
      hint: `install it: apt install ${packages[program] ?? program}`,
      cause: error,
    });
  }
  if (code === "EMFILE" || code === "ENFILE") {
    return new VpnError("failed", `cannot run ${program}: there is no free file descriptor`, {
      hint: "allow vpnd more: prlimit --nofile, or LimitNOFILE= of its service",
      cause: error,
    });
  }
  return new VpnError("failed", `cannot run ${program}: ${error.message}`, {
    hint: "try again",
    cause: error,
  });
}

/** Linux takes no longer argument, bytes. */
const longestArgument = 128 << 10;

/** nft opens /dev/stdin by its name, which a socket (Node's pipe to a child) does not allow; hence an argument. */
function nftArguments(input: string): string[] {
  if (Buffer.byteLength(input) < longestArgument) return input.startsWith("{") ? ["-j", input] : [input];
  throw new VpnError("internal", "a set of nftables rules is too long");
}

const sysctlPath = (key: string): string => {
  if (!/^net(\/[A-Za-z0-9_.@-]+)+$/.test(key) || key.includes("..")) {
    throw new VpnError("internal", `refusing to touch sysctl ${key}`);
  }
  return `/proc/sys/${key}`;
};

/** Opening a device turns its offloads off. */
function resetTun(
  tun: Pick<Executor, "openTun" | "closeFd">,
  name: string,
  use: "plain" | "plain-tap",
): void {
  try {
    tun.closeFd(tun.openTun(name, use).fd);
  } catch (error) {
    if (!(error instanceof VpnError && error.code === "conflict")) throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** For everybody to read, whatever the umask is. Never follows a link and never replaces anything. */
async function writeNew(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(path, text, { flag: "wx", mode: 0o644 });
  await chmod(path, 0o644);
}

/** The folders only as far as they are empty. */
async function removeWith(path: string, folders: readonly string[]): Promise<void> {
  await rm(path, { force: true });
  for (const folder of [...folders].reverse()) await rmdir(folder).catch(() => {});
}

/** The real machine. TUN devices come from the addon. */
export function machineExecutor(tun: Pick<Executor, "openTun" | "closeFd">): Executor {
  const resolver = resolverExecutor(runProgram);
  return {
    async run(action) {
      if (action.type === "reset-tun") {
        return resetTun(tun, action.name, action.mode === "tap" ? "plain-tap" : "plain");
      }
      if (action.type === "resolvectl" || action.type === "resolv-conf") return resolver.run(action);
      if (action.type === "sysctl") return writeFile(sysctlPath(action.key), action.value);
      if (action.type === "write-file") return writeNew(action.path, action.text);
      if (action.type === "remove-file") return removeWith(action.path, action.folders);
      const { code, stderr } =
        action.type === "ip"
          ? await runProgram("ip", action.args)
          : await runProgram("nft", nftArguments(action.input));
      if (code === 0) return;
      const what = stderr.trim().split("\n")[0] ?? "";
      const said = action.type === "ip" ? `ip ${action.args.join(" ")}` : "nft";
      const sixOff = action.type === "ip" && /:.*\/\d/.test(said) && /Permission denied|disabled/.test(what);
      throw new VpnError("failed", `${said}: ${what.replace(/^(RTNETLINK answers|Error): /, "")}`, {
        hint: sixOff
          ? "IPv6 is switched off here: sysctl net.ipv6.conf.all.disable_ipv6=0"
          : "look at the machine's side: ip addr; ip route; dmesg",
      });
    },
    async readIp(args) {
      const { code, stdout, stderr } = await runProgram("ip", ["-j", ...args]);
      if (code !== 0) {
        if (/does not exist|Cannot find device/.test(stderr)) return undefined;
        throw new VpnError("failed", `ip ${args.join(" ")}: ${stderr.trim().split("\n")[0] ?? ""}`);
      }
      return stdout.trim() === "" ? [] : JSON.parse(stdout);
    },
    async readSysctl(key) {
      return (await readIfThere(sysctlPath(key)))?.trim();
    },
    readText: readIfThere,
    async missingFolders(path) {
      const missing: string[] = [];
      for (let folder = dirname(path); !existsSync(folder); folder = dirname(folder)) missing.unshift(folder);
      return missing;
    },
    async nftTables() {
      const { code, stdout } = await runProgram("nft", ["list", "tables"]);
      if (code !== 0) return [];
      return stdout
        .split("\n")
        .map((line) => line.replace(/^table /, "").trim())
        .filter((line) => line !== "");
    },
    readResolver: resolver.read,
    ...tun,
  };
}
