/** What takes part in `bench mesh`. */
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { run } from "../../test/lab/command.js";
import type { Host } from "../../test/lab/lab.js";
import type { LinkKind, Pair } from "../pair.js";

export interface Contestant {
  name: string;
  /** For the table: what exactly ran. */
  version: string;
  /** A link of its own, whatever the others get; it takes part with links of kind `veth` only. */
  link?: LinkKind;
  /**
   * Starts both ends, a's with 10.212.0.1 and b's with 10.212.0.2 inside; the lab ends them.
   * @returns b's address inside, and a's device
   */
  start(pair: Pair): Promise<{ address: string; device: string }>;
}

export const inner = { a: "10.212.0.1", b: "10.212.0.2" } as const;

/** Full path of a program; undefined when it is not there. @param given what the user named */
export function findProgram(name: string, given?: string): string | undefined {
  if (given !== undefined) {
    if (!existsSync(given)) throw new Error(`there is no ${given}`);
    return given;
  }
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder.
    }
  }
  return undefined;
}

/** First match of the pattern in what the program says to the arguments. */
export async function versionOf(program: string, args: readonly string[], pattern: RegExp): Promise<string> {
  const { stdout, stderr } = await run(program, args);
  return pattern.exec(stdout + stderr)?.[1] ?? "unknown version";
}

export async function addressOn(host: Host, device: string, address: string): Promise<void> {
  await host.ip("addr", "add", `${address}/24`, "dev", device);
  await host.ip("link", "set", device, "up");
}

export async function hasDevice(host: Host, device: string): Promise<boolean> {
  return (await host.exec("ip", ["link", "show", "dev", device])).code === 0;
}
