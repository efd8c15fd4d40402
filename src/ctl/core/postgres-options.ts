import { VpnError } from "../../common/errors.js";
import { parseBytes } from "../../common/format/bytes.js";
import { formatLogPolicy, parseLogPolicy } from "../../common/postgres/log-policy.js";

/** Bytes of "10GiB" or "500MB". */
export function parseMaxSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new VpnError("usage", `--max-size: "${text}" is no size`, {
    hint: "write it as 10GiB, 500MB or the like",
  });
}

/** What `--log` says, in one form. */
export function parseLog(text: string): string {
  const policy = parseLogPolicy(text);
  if (policy !== undefined) return formatLogPolicy(policy);
  throw new VpnError("usage", `--log: "${text}" does not say what is kept`, {
    hint: "write full, headers or sample=N, such as sample=100",
  });
}

/** Whether everybody who lists processes sees the password in a URL. */
export function hasPassword(url: string): boolean {
  return /^[a-z]+:\/\/[^:@/?#]*:[^@/]*@/.test(url);
}

/** A file's content without its last line break. */
export function passwordOf(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (text !== "") return Buffer.from(text, "utf8");
  throw new VpnError("usage", "the password file is empty", {
    hint: "leave --postgres-password-file out if there is none",
  });
}
