import ipaddr from "ipaddr.js";

/** Canonical text of 4 or 16 bytes; of others "?". */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  return bytes.length === 16 ? new ipaddr.IPv6([...bytes]).toRFC5952String() : "?";
}
