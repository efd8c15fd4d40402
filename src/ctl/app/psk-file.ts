import { VpnError } from "../../common/errors.js";
import { type CtlContext, warn } from "./context.js";

/** The key as it stands in a file, read with the caller's rights. @throws VpnError `usage` when no file is named */
export async function readPskFile(context: CtlContext, path: string | undefined): Promise<Uint8Array> {
  if (path === undefined)
    throw new VpnError("usage", "no key is given", {
      hint: "add --psk-file FILE; make a key: vpnctl psk generate --out FILE",
    });
  const { bytes, worldReadable } = await context.files.read(path, context.signal);
  if (worldReadable) warn(context, `everybody on this machine can read ${path}; better: chmod 600 ${path}`);
  return bytes;
}
