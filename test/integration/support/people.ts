import { spawn } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import type { Bench } from "./daemon.js";

const root = new URL("../../..", import.meta.url).pathname;
/** A user who owns nothing and is in no group that counts. */
export const nobody = 65_534;

export interface Said {
  code: number;
  out: string;
  err: string;
}

export type Person = "root" | "stranger" | "member" | "intruder";

/** The group that the tests let in; every Debian has it. */
export const groupName = "users";

function groupNumber(): string {
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${groupName}:`));
  return line?.split(":")[2] ?? "";
}

/** How to become that person. An intruder gets past the socket's mode by a capability and is in no group. */
function become(person: Person): string[] {
  const user = [`--reuid=${nobody}`, `--regid=${nobody}`];
  switch (person) {
    case "root":
      return [];
    case "stranger":
      return [...user, "--clear-groups"];
    case "member":
      return [...user, `--groups=${groupNumber()}`];
    case "intruder":
      return [...user, "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"];
  }
}

/** Runs vpnctl as that person, in this environment, with this standard input. */
export function vpnctlAs(
  person: Person,
  bench: Pick<Bench, "socket" | "folder">,
  args: readonly string[],
  { env = {}, input = "" }: { env?: Record<string, string>; input?: string } = {},
): Promise<Said> {
  chmodSync(bench.folder, 0o711);
  const node = [process.execPath, "--import", "tsx", "src/ctl/main.ts", "--socket", bench.socket, ...args];
  const [program = "", ...rest] = person === "root" ? node : ["setpriv", ...become(person), ...node];
  const child = spawn(program, rest, { cwd: root, env: { ...process.env, ...env } });
  child.stdin.end(input);
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? -1, out, err }));
  });
}
