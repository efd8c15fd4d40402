import { type FileHandle, open, rename, rm, writeFile } from "node:fs/promises";
import { VpnError } from "../../common/errors.js";

/** Makes a file that only its owner may read; never replaces one. */
export async function createPrivateFile(path: string, data: Uint8Array): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, "wx", 0o600);
  } catch (error) {
    throw explain(path, error);
  }
  try {
    await file.writeFile(data);
    await file.close();
  } catch (error) {
    await file.close().catch(() => {});
    await rm(path, { force: true }).catch(() => {});
    throw explain(path, error);
  }
}

/** Replaces a file in one step, so that a collector never reads half of it; everybody may read it. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text, { mode: 0o644, flag: "wx" });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw explain(path, error);
  }
}

function explain(path: string, error: unknown): VpnError {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const because: Readonly<Record<string, [string, string]>> = {
    EEXIST: ["it is there already", "name another file"],
    ENOENT: ["there is no such folder", "make the folder, or name another file"],
    EACCES: ["permission denied", "vpnctl writes with your own rights: name a file elsewhere"],
    EROFS: ["the file system is read-only", "name a file elsewhere"],
    ENOSPC: ["no space left on device", "make room, or name a file elsewhere"],
  };
  const [what, hint] = because[code] ?? [code, "name another file"];
  const kind = code === "EEXIST" ? "already-exists" : code === "EACCES" ? "not-permitted" : "failed";
  return new VpnError(kind, `cannot write ${path}: ${what}`, { hint, cause: error });
}
