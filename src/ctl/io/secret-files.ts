import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { VpnError } from "../../common/errors.js";

const largestSecretBytes = 4096;
const readableByOthers = 0o004;

export type SecretKind = "key" | "token" | "password";

export interface SecretFile {
  readonly bytes: Uint8Array;
  /** Everybody on the machine can read the file. */
  readonly worldReadable: boolean;
}

/** Reads and writes secrets with the caller's rights. */
export interface SecretFiles {
  /** @param path "-" is standard input */
  read(path: string, signal: AbortSignal, kind?: SecretKind): Promise<SecretFile>;
  /** Makes a file with mode 0600; never replaces one. */
  create(path: string, text: string): Promise<void>;
}

export const secretFiles: SecretFiles = {
  async read(path, signal, kind = "key") {
    if (path === "-") return { bytes: await readStdin(signal, kind), worldReadable: false };
    try {
      const file = await open(path, "r");
      try {
        const status = await file.stat();
        const buffer = new Uint8Array(largestSecretBytes + 1);
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
        if (bytesRead > largestSecretBytes) throw tooLarge(path, kind);
        return {
          bytes: buffer.slice(0, bytesRead),
          worldReadable: status.isFile() && (status.mode & readableByOthers) !== 0,
        };
      } finally {
        await file.close();
      }
    } catch (thrown) {
      throw explain("read", path, thrown, kind);
    }
  },
  async create(path, text) {
    try {
      const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (thrown) {
      throw explain("write", path, thrown, "key");
    }
  },
};

async function readStdin(signal: AbortSignal, kind: SecretKind): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  const stop = (): void => void process.stdin.destroy(new VpnError("cancelled", "cancelled"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of process.stdin) {
      const bytes = Buffer.from(chunk);
      size += bytes.length;
      if (size > largestSecretBytes) throw tooLarge("-", kind);
      chunks.push(bytes);
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return Buffer.concat(chunks);
}

/** Where one comes from. */
const origins: Record<SecretKind, string> = {
  key: "make a key: vpnctl psk generate --out FILE",
  token: "a file with the one line that vpnctl gateway user add printed",
  password: "a file with the password of the database's role, in one line",
};

function tooLarge(path: string, kind: SecretKind): VpnError {
  return new VpnError("usage", `${path} is too large for a ${kind}`, {
    hint: `a ${kind} has at most 256 bytes; the file may have ${largestSecretBytes}`,
  });
}

function explain(verb: string, path: string, thrown: unknown, kind: SecretKind): VpnError {
  if (thrown instanceof VpnError) return thrown;
  const error: NodeJS.ErrnoException = thrown instanceof Error ? thrown : new Error(String(thrown));
  const cause = error;
  switch (error.code) {
    case "ENOENT":
      return new VpnError("failed", `cannot ${verb} ${path}: there is no such file or folder`, {
        hint: origins[kind],
        cause,
      });
    case "EEXIST":
      return new VpnError("already-exists", `${path} exists, and keys are never overwritten`, {
        hint: "name another file, or remove this one first",
        cause,
      });
    case "EACCES":
    case "EPERM":
      return new VpnError("not-permitted", `cannot ${verb} ${path}: permission denied`, {
        hint: `vpnctl uses your own rights; use sudo, or give - in place of the file, and the ${kind} on standard input`,
        cause,
      });
    default:
      return new VpnError("failed", `cannot ${verb} ${path}: ${error.code ?? error.message}`, { cause });
  }
}
