/**
 * What goes over a gateway's WebSocket between own ends (docs/wire.md, "Gateway"): each message is frames of a TCP link, the first of
 * which, from the gateway, is the hello.
 */
import { z } from "zod";
import { canonicalAddress } from "../endpoint.js";
import { encodeControl } from "../frames.js";

/** Of `Sec-WebSocket-Protocol`. */
export const gatewayProtocol = "vpnd.gateway.v1";
/** Headers of the request, in lower case: a resume token of an earlier hello, the client's name, and whether it may come back. */
export const gatewayHeaders = { resume: "vpnd-resume", name: "vpnd-name", keep: "vpnd-keep" } as const;
/** Largest message that either end takes, bytes: a whole batch with its frames' headers. */
export const largestMessage = 512 << 10;

/** The type byte of a control message that is a hello; 1 and 2 are a link's ping and pong. */
const helloType = 3;
const longestHello = 16 << 10;

const cidr = z.string().max(64).refine(isCidr);
const address = z.string().refine((text) => canonicalAddress(text) === text);
const schema = z.object({
  /** The client's own, with the lengths of their subnets; at most one of each family. */
  addresses: z.array(cidr).min(1).max(2),
  /** The gateway's in the same subnets. */
  gateways: z.array(address).max(2),
  /** Of the client's device, bytes. */
  mtu: z.number().int().min(576).max(65_535),
  /** Resolvers that clients may use. */
  dns: z.array(address).max(8),
  /** Prefixes that the gateway carries; 0.0.0.0/0 and ::/0 stand for the Internet. */
  routes: z.array(cidr).max(256),
  /** For the header of the next connection, so that it gets the same addresses. */
  resume: z.string().max(256),
  /** How often the gateway asks for a sign of life. */
  keepAliveSeconds: z.number().min(1).max(3600),
});

export type GatewayHello = z.infer<typeof schema>;

/** A whole WebSocket message. */
export function encodeGatewayHello(hello: GatewayHello): Buffer {
  return encodeControl(Buffer.concat([Buffer.of(helloType), Buffer.from(JSON.stringify(hello))]));
}

/** @param control an item of kind `control` @returns undefined when it is no hello */
export function parseGatewayHello(control: Uint8Array): GatewayHello | undefined {
  if (control[0] !== helloType || control.length > longestHello) return undefined;
  try {
    const { success, data } = schema.safeParse(JSON.parse(Buffer.from(control.subarray(1)).toString("utf8")));
    return success ? data : undefined;
  } catch {
    return undefined;
  }
}

function isCidr(text: string): boolean {
  const [, address = "", length] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  return canonicalAddress(address) !== undefined && Number(length) <= (address.includes(":") ? 128 : 32);
}
