import { once } from "node:events";
import { open } from "node:fs/promises";
import { VpnError } from "../../common/errors.js";

/** Where an export goes; what is written waits until it is taken. Failures are VpnErrors. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  /** Everything is there. */
  close(): Promise<void>;
}

/** @param path "-" is standard output; a file is replaced, and is its owner's alone */
export async function openSink(path: string): Promise<Sink> {
  if (path === "-") return standardOutput();
  try {
    const file = await open(path, "w", 0o600);
    return {
      write: async (bytes) => {
        await file.writeFile(bytes).catch((error: unknown) => {
          throw explained(path, error);
        });
      },
      close: async () => {
        await file.close();
      },
    };
  } catch (error) {
    throw explained(path, error);
  }
}

function standardOutput(): Sink {
  const { stdout } = process;
  if (stdout.isTTY) {
    throw new VpnError("usage", "packets are not for a terminal", {
      hint: "name a file, or read them: --pcap - | tcpdump -n -r -",
    });
  }
  return {
    write: async (bytes) => {
      if (!stdout.write(bytes)) await once(stdout, "drain");
    },
    close: async () => {},
  };
}

function explained(path: string, error: unknown): VpnError {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const known = new Map([
    ["ENOSPC", "the disk is full"],
    ["EACCES", "permission denied"],
    ["ENOENT", "there is no such folder"],
    ["EISDIR", "it is a folder"],
  ]);
  return new VpnError("failed", `cannot write ${path}: ${known.get(code) ?? code}`, {
    hint: "name another file",
    cause: error,
  });
}
