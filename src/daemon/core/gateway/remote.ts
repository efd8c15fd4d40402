import { canonicalAddress, formatEndpoint } from "../../../common/endpoint.js";

/**
 * Where a connection comes from, for people. A proxy on this machine speaks for others: the last address that it tells is the one that it
 * saw itself.
 * @param address of the other end, as the system has it
 * @param forwarded X-Forwarded-For; empty: none
 */
export function remoteOf(address: string, port: number, forwarded: string): string {
  // A zone ("%eth0") means something to this machine alone.
  const own = canonicalAddress(address.replace(/%.*/, "")) ?? "";
  const told = canonicalAddress(forwarded.split(",").at(-1)?.trim() ?? "");
  const local = own.startsWith("127.") || own === "::1";
  return local && told !== undefined ? told : formatEndpoint(own, port);
}
