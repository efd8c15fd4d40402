/** Secrets in files that a command names, read with the caller's rights. */
import { VpnError } from "../../common/errors.js";
import type { SecretKind } from "../io/secret-files.js";
import { type CtlContext, warn } from "./context.js";

/** The key as it stands in a file. @throws VpnError `usage` when no file is named */
export async function readPskFile(context: CtlContext, path: string | undefined): Promise<Uint8Array> {
  if (path === undefined)
    throw new VpnError("usage", "no key is given", {
      hint: "add --psk-file FILE; make a key: vpnctl psk generate --out FILE",
    });
  return read(context, path, "key");
}

/** A user's token for a gateway as it stands in a file. @throws VpnError `usage` when it is empty */
export async function readTokenFile(context: CtlContext, path: string): Promise<Uint8Array> {
  const bytes = await read(context, path, "token");
  if (Buffer.from(bytes).toString("latin1").trim() !== "") return bytes;
  throw new VpnError("usage", `${path} holds no token`, {
    hint: "it holds one line, as vpnctl gateway user add printed it",
  });
}

/** The password of a database's role as it stands in a file. */
export function readPasswordFile(context: CtlContext, path: string): Promise<Uint8Array> {
  return read(context, path, "password");
}

async function read(context: CtlContext, path: string, kind: SecretKind): Promise<Uint8Array> {
  const { bytes, worldReadable } = await context.files.read(path, context.signal, kind);
  if (worldReadable) warn(context, `everybody on this machine can read ${path}; better: chmod 600 ${path}`);
  return bytes;
}
