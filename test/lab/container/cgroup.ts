/** Control groups of a container: its own, so that two containers do not meet, and gone with it. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, statfsSync } from "node:fs";
import { join } from "node:path";

const cgroup2 = 0x63677270;

/** Where a version 2 hierarchy is: the only one on a machine of today, beside those of version 1 on an older one. */
function hierarchy(): string {
  for (const place of ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]) {
    if (existsSync(place) && statfsSync(place).type === cgroup2) return place;
  }
  throw new Error("no cgroup2 hierarchy is mounted\nmount one: mount -t cgroup2 none /sys/fs/cgroup");
}

function places(): string[] {
  const named = "/sys/fs/cgroup/systemd";
  return [hierarchy(), ...(existsSync(named) ? [named] : [])];
}

/** Folders of groups whose name begins so. */
export function listCgroups(prefix: string): string[] {
  return places().flatMap((place) =>
    readdirSync(place)
      .filter((name) => name.startsWith(prefix))
      .map((name) => join(place, name)),
  );
}

/** Makes them; processes that are to be in them are written to `cgroup.procs` in each. */
export function makeCgroups(name: string): string[] {
  return places().map((place) => {
    const folder = join(place, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  });
}

/** False while processes are in one of them. */
export function removeCgroups(folders: readonly string[]): boolean {
  try {
    for (const folder of folders) removeTree(folder);
    return true;
  } catch {
    return false;
  }
}

function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}
