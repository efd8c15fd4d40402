/** Reads and changes whom this machine asks for names. */
import { constants } from "node:fs";
import { chown, lstat, open, readFile, readlink, realpath, rename, rm, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { VpnError } from "../../../common/errors.js";
import type { LinkDns, ResolvConf, ResolverAction, ResolverState } from "../../core/system/resolver-items.js";
import { errorCode, syncFolder } from "../atomic-file.js";

type RunProgram = (
  program: string,
  args: readonly string[],
) => Promise<{ code: number; stdout: string; stderr: string }>;

const usual = "/etc/resolv.conf";
/** It goes into the journal. */
const mostBytes = 64 << 10;
/** "127.0.0.53:53" and "127.0.0.54:53" as /proc/net has them. */
const stubs = /^\s*\d+: (3500007F|3600007F):0035 /m;

/** @param path in place of /etc/resolv.conf, for tests */
export function resolverExecutor(
  runProgram: RunProgram,
  path = usual,
): {
  run: (action: ResolverAction) => Promise<void>;
  read: (devices: readonly string[]) => Promise<ResolverState>;
} {
  return {
    async run(action) {
      if (action.type === "resolv-conf") return write(path, action.content, action.inPlace);
      const { code, stderr } = await runProgram("resolvectl", action.args);
      if (code === 0) return;
      throw new VpnError(
        "failed",
        `resolvectl ${action.args.join(" ")}: ${stderr.trim().split("\n")[0] ?? ""}`,
        {
          hint: "look at it: resolvectl status; systemctl status systemd-resolved",
        },
      );
    },
    async read(devices) {
      const resolved = await isResolvedHere();
      const links = new Map<string, LinkDns>();
      for (const device of resolved ? devices : []) links.set(device, await linkDns(runProgram, device));
      return { resolved, links, ...(await readFileState(path)) };
    },
  };
}

/** Its stub listens in this network namespace, so devices that it knows are the devices here. */
async function isResolvedHere(): Promise<boolean> {
  return stubs.test(await readFile("/proc/self/net/udp", "latin1").catch(() => ""));
}

async function linkDns(runProgram: RunProgram, device: string): Promise<LinkDns> {
  const words = async (verb: string): Promise<string[]> => {
    const { code, stdout, stderr } = await runProgram("resolvectl", [verb, device]);
    if (code !== 0)
      throw new VpnError("failed", `resolvectl ${verb} ${device}: ${stderr.trim().split("\n")[0] ?? ""}`);
    return stdout
      .replace(/^Link \d+ \([^)]*\):/, "")
      .split(/\s+/)
      .filter((word) => word !== "");
  };
  return {
    servers: await words("dns"),
    domains: await words("domain"),
    defaultRoute: (await words("default-route"))[0] === "yes",
  };
}

async function readFileState(path: string): Promise<Omit<ResolverState, "resolved" | "links">> {
  try {
    const text = await readFile(path, "latin1").catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return "";
      throw error;
    });
    const inPlace = await isMounted(path);
    const file = inPlace ? await describe(await realpath(path)) : await describe(path);
    const state = { file, text, inPlace };
    if (text.length > mostBytes) return { ...state, obstacle: "it is larger than vpnd can keep" };
    // Processes of a namespace share the file with all others, unless it is mounted for them.
    if (!inPlace && !(await isFirstNamespace()))
      return { ...state, obstacle: "it is not known to belong to this network namespace" };
    return state;
  } catch (error) {
    const obstacle = `it cannot be read: ${VpnError.from(error).message}`;
    return { file: { type: "absent" }, text: "", inPlace: false, obstacle };
  }
}

async function describe(path: string): Promise<ResolvConf> {
  try {
    const info = await lstat(path);
    if (info.isSymbolicLink()) return { type: "link", target: await readlink(path) };
    const { mode, uid, gid } = info;
    return { type: "file", text: await readFile(path, "latin1"), mode: mode & 0o7777, uid, gid };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return { type: "absent" };
    throw error;
  }
}

/** Containers and `ip netns exec` mount a file of their own there; a mount point cannot be renamed over. */
async function isMounted(path: string): Promise<boolean> {
  const real = await realpath(path).catch(() => path);
  const mounts = await readFile("/proc/self/mountinfo", "latin1").catch(() => "");
  const points = new Set(mounts.split("\n").map((line) => line.split(" ")[4]));
  return points.has(path) || points.has(real);
}

/** Who may not look at PID 1 is not taken to be in its namespace: a service of systemd has the file mounted anyway. */
async function isFirstNamespace(): Promise<boolean> {
  const [own, first] = await Promise.all(
    ["self", "1"].map((pid) => readlink(`/proc/${pid}/ns/net`).catch(() => undefined)),
  );
  return own !== undefined && own === first;
}

async function write(path: string, content: ResolvConf, inPlace: boolean): Promise<void> {
  try {
    await (inPlace ? overwrite(path, content) : replace(path, content));
  } catch (error) {
    throw new VpnError("failed", `cannot write ${path}: ${VpnError.from(error).message}`, {
      hint: "it may be immutable or on a read-only file system: lsattr, findmnt --target /etc/resolv.conf",
      cause: error,
    });
  }
}

async function overwrite(path: string, content: ResolvConf): Promise<void> {
  const file = await open(path, constants.O_WRONLY);
  try {
    const bytes = Buffer.from(content.type === "file" ? content.text : "", "latin1");
    // First the bytes, then the length: it is never empty for those who read it meanwhile.
    await file.write(bytes, 0, bytes.length, 0);
    await file.truncate(bytes.length);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function replace(path: string, content: ResolvConf): Promise<void> {
  const temporary = `${path}.vpnd`;
  await rm(temporary, { force: true });
  if (content.type === "absent") {
    await rm(path, { force: true });
  } else {
    if (content.type === "link") await symlink(content.target, temporary);
    else await make(temporary, content);
    await rename(temporary, path);
  }
  await syncFolder(dirname(path));
}

async function make(path: string, content: ResolvConf & { type: "file" }): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content.text, "latin1");
    await chown(path, content.uid, content.gid);
    await file.chmod(content.mode);
    await file.sync();
  } finally {
    await file.close();
  }
}
