import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, removeFile } from "../atomic-file.js";

/**
 * Removes what a vpnd left that was killed while it wrote: temporary files, and keys and pins of a network that has no config.
 * Its config is written last and removed first, so that such a network was never joined or is left already.
 * Call with the state folder's lock held. @param dryRun removes nothing @returns paths of what was removed, or would be
 */
export async function sweepState(root: string, dryRun = false): Promise<string[]> {
  const networks = await names(join(root, "networks"));
  const stale = [
    ...(await temporaries(root)),
    ...(await temporaries(join(root, "networks"))),
    ...(await temporaries(join(root, "secrets"))),
    ...(await temporaries(join(root, "peers"))),
    ...(await temporaries(join(root, "filters"))),
  ];
  // Without the folder of configs there is nothing to tell halves by.
  if (networks) {
    const joined = new Set(networks);
    for (const folder of ["secrets", "peers", "filters"]) {
      for (const name of (await names(join(root, folder))) ?? []) {
        if (/^[a-z0-9][a-z0-9-]{0,31}\.json$/.test(name) && !joined.has(name)) {
          stale.push(join(root, folder, name));
        }
      }
    }
  }
  if (!dryRun) for (const path of stale) await removeFile(path);
  return stale;
}

/** Undefined: there is no such folder. */
async function names(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function temporaries(folder: string): Promise<string[]> {
  const found = (await names(folder)) ?? [];
  return found.filter((name) => name.endsWith(".json.tmp")).map((name) => join(folder, name));
}
