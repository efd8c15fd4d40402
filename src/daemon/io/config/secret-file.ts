import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { VpnError } from "../../../common/errors.js";
import { errorCode } from "../atomic-file.js";

/** No form of a PSK, no token and no password is near this, bytes. */
const maxBytes = 4096;
const advice = {
  PSK: {
    make: (path: string) => `make a PSK: vpnctl psk generate --out ${path}`,
    see: "see: vpnctl psk generate --out FILE",
  },
  token: { make: () => "ask who runs it, for what vpnctl gateway user add printed", see: "it is one line" },
  password: { make: () => "write the role's password into it", see: "it is one line" },
} as const;

/**
 * What is in a file that holds a secret.
 * @throws VpnError `usage` that names the file, and never quotes it; `not-permitted` if this user may not read it
 */
export async function readSecretFile(path: string, what: keyof typeof advice = "PSK"): Promise<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    // A FIFO must not hold up the start.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { mode, size } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw refused(path, "is no file", "name a file");
    if ((mode & 0o007) !== 0) {
      throw refused(path, "may be read or written by everybody", `run: chmod 600 ${path}`);
    }
    if ((mode & 0o020) !== 0) throw refused(path, "may be written by its group", `run: chmod g-w ${path}`);
    if (size > maxBytes) throw refused(path, `is too large for a ${what}`, advice[what].see);
    return new Uint8Array(await file.readFile());
  } catch (error) {
    if (error instanceof VpnError) throw error;
    const code = errorCode(error);
    if (code === "ENOENT") throw refused(path, "does not exist", advice[what].make(path));
    if (code !== "EACCES") throw refused(path, `cannot be read: ${code ?? "error"}`, "check the file");
    throw new VpnError("not-permitted", `${path} may not be read by this user`, { hint: "run it as root" });
  } finally {
    await file?.close();
  }
}

const refused = (path: string, what: string, hint: string): VpnError =>
  new VpnError("usage", `${path} ${what}`, { hint });
