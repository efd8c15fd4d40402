/** Members that heartbeat and map share. */
import { addressKind, canonicalAddress, formatEndpoint, parseEndpoint } from "../endpoint.js";

/** A node's address inside its own network. Without a port if its sender gave none. */
export interface PrivateAddress {
  address: string;
  port?: number;
}

/** The paper's own sample spells it `VirutalIP`; nodes written after the sample do so too. */
export function readVirtualIp(object: Readonly<Record<string, unknown>>): string | undefined {
  const text = object.VirtualIP ?? object.VirutalIP;
  if (typeof text !== "string") return undefined;
  const address = canonicalAddress(text);
  return address !== undefined && addressKind(address) === "node" ? address : undefined;
}

/** `undefined`: none given (absent or empty, as a zero value of the paper's implementation is written); `null`: unusable. */
export function readPrivateAddress(value: unknown): PrivateAddress | undefined | null {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") return null;
  const endpoint = parseEndpoint(value);
  const address = endpoint?.address ?? canonicalAddress(value);
  if (address === undefined || addressKind(address) === "none") return null;
  // Port 0 is an implementation's way to say that it does not know.
  return endpoint === undefined || endpoint.port === 0 ? { address } : { address, port: endpoint.port };
}

export function writePrivateAddress(address: PrivateAddress | undefined): string {
  if (address === undefined) return "";
  return address.port === undefined ? address.address : formatEndpoint(address.address, address.port);
}

/** A node's endpoint as the server saw it: canonical text. */
export function readPublicEndpoint(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const endpoint = parseEndpoint(value);
  if (endpoint === undefined || endpoint.port === 0 || addressKind(endpoint.address) === "none")
    return undefined;
  return formatEndpoint(endpoint.address, endpoint.port);
}
