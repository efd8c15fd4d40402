/** Two nodes of one network over PostgreSQL, as the benches of that carrier use them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "../test/lab/postgres.js";
import type { Daemon } from "../test/lab/programs.js";
import { reachable } from "../test/lab/traffic.js";

/** Owns the log; its password is the same word. */
export const role = "bench";
export const addresses = ["10.9.0.1", "10.9.0.2"] as const;

/** Both join, and the first reaches the second. @param more flags of `join` */
export async function joinBoth(
  [a, b]: readonly [Daemon, Daemon],
  database: Database,
  more: readonly string[] = [],
): Promise<void> {
  for (const [index, node] of [a, b].entries()) {
    const secret = join(node.host.folder, "password");
    writeFileSync(secret, role, { mode: 0o600 });
    const where = ["--postgres", database.url(role), "--postgres-password-file", secret];
    await node.ok(["join", ...where, "--vip", `${addresses[index]}/24`, "--name", `n${index}`, ...more]);
  }
  await a.peerUp(addresses[1]);
  await reachable(a.host, addresses[1]);
}
