import { mkdirSync, statSync } from "node:fs";
import { VpnError } from "../../../common/errors.js";
import { errorCode } from "../atomic-file.js";

/**
 * Makes the state folder (0700), or checks the one that is there.
 * @throws VpnError `failed` when it can't be made, or others could write to it
 */
export function openStateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new VpnError("failed", `cannot make the state folder ${path} (${errorCode(error) ?? "?"})`, {
      hint: "choose another --state-dir",
      cause: error,
    });
  }
  const stat = statSync(path);
  if (stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0) return;
  throw new VpnError("failed", `others may write to the state folder ${path}`, {
    hint: `make it vpnd's own (chown, chmod 700), or choose another --state-dir`,
  });
}
