import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { VpnError } from "../../common/errors.js";

/**
 * Replaces a file in one step that survives a power cut: temporary file, fsync, rename, fsync of the folder.
 * @throws VpnError `failed` when the disk is full or read-only; the old file is then untouched
 */
export async function writeFileAtomic(path: string, data: string, mode = 0o600): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    const file = await open(temporary, "w", mode);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw writeError(path, error);
  }
}

/** Removes a file so that it stays removed after a power cut; a missing one is fine. */
export async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncFolder(dirname(path));
  } catch (error) {
    throw writeError(path, error);
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Node's error code ("ENOENT") of whatever was thrown. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return undefined;
}

const hints: Record<string, string> = {
  ENOSPC: "the disk is full: make room, then try again",
  EDQUOT: "the quota is used up: make room, then try again",
  EROFS: "the file system is read-only: remount it, or use another --state-dir",
  EACCES: "vpnd needs to own its state folder: see --state-dir",
  EMFILE: "allow vpnd more: prlimit --nofile, or LimitNOFILE= of its service",
  ENFILE: "the machine has no more: raise the sysctl fs.file-max",
};

const words: Record<string, string> = {
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EROFS: "read-only file system",
  EACCES: "permission denied",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
};

function writeError(path: string, error: unknown): VpnError {
  const code = errorCode(error) ?? "";
  const what = words[code] ?? (error instanceof Error ? error.message : String(error));
  const hint = hints[code];
  return new VpnError("failed", `cannot write ${path}: ${what}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}
