/** The certificate of a gateway that does TLS itself, and its key: files that others renew. */
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { VpnError } from "../../../common/errors.js";
import { errorCode } from "../atomic-file.js";

/** Paths. */
export interface TlsFiles {
  cert: string;
  key: string;
}

/** PEM. */
export interface TlsPair {
  cert: string;
  key: string;
}

/** @throws VpnError `failed` when a file cannot be read, or the two do not belong together */
export async function readTlsPair(files: TlsFiles): Promise<TlsPair> {
  const pair = { cert: await read(files.cert), key: await read(files.key) };
  try {
    createSecureContext(pair);
    return pair;
  } catch (error) {
    throw new VpnError("failed", `${files.cert} and ${files.key} are no certificate with its key`, {
      hint: "PEM, the certificate first and the ones between it and its authority after it",
      cause: error,
    });
  }
}

/** Changes when a file does; what is missing counts as one more state. */
export async function stampOf(files: TlsFiles): Promise<string> {
  const stamps = [files.cert, files.key].map((path) =>
    stat(path).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
      () => "missing",
    ),
  );
  return (await Promise.all(stamps)).join();
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new VpnError("failed", `cannot read ${path} (${errorCode(error) ?? "?"})`, {
      hint: "[gateway] tls_cert and tls_key in vpnd.toml name the files",
      cause: error,
    });
  }
}
