/** Which addresses a client of a gateway gets: a /30 and, if there is IPv6, a /127 for each slot. */
import ipaddr from "ipaddr.js";
import { VpnError } from "../../../common/errors.js";
import { type Cidr, parseCidr } from "../network/cidr.js";

export const defaultSubnets = ["10.91.0.0/16", "fd76:706e:6477::/112"] as const;

/** The two ends of a client's device, in CIDR notation. */
export interface SlotAddresses {
  gateway: string[];
  client: string[];
}

const own = {
  4: { length: 30, gateway: 1n, client: 2n },
  6: { length: 127, gateway: 0n, client: 1n },
} as const;

export class AddressPlan {
  readonly #prefixes: readonly Cidr[];
  /** How many clients there is room for. */
  readonly capacity: number;

  /** @param subnets as `checkSubnets` gave them */
  constructor(subnets: readonly string[]) {
    this.#prefixes = subnets.map(parsed);
    this.capacity = Math.min(
      ...this.#prefixes.map((one) => 2 ** Math.min(own[one.family].length - one.length, 24)),
    );
  }

  /** The gateway's own on a device that all clients share, with the lengths of the subnets. */
  get whole(): string[] {
    return this.#prefixes.map((prefix) => `${added(prefix, own[prefix.family].gateway)}/${prefix.length}`);
  }

  /** @param slot from 0, below `capacity` */
  at(slot: number): SlotAddresses {
    const one = (end: "gateway" | "client") =>
      this.#prefixes.map((prefix) => {
        const { length, [end]: host } = own[prefix.family];
        const size = 1n << BigInt(prefix.bytes.length * 8 - length);
        return `${added(prefix, BigInt(slot) * size + host)}/${length}`;
      });
    return { gateway: one("gateway"), client: one("client") };
  }
}

/** Checks `--subnet`. @returns without host bits, IPv4 first @throws VpnError `usage` */
export function checkSubnets(texts: readonly string[]): string[] {
  const found = texts.map((text) => {
    const cidr = parseCidr(text);
    const longest = cidr && own[cidr.family].length;
    if (cidr === undefined || longest === undefined || cidr.length > longest || cidr.length < 8) {
      throw usage(`${JSON.stringify(text.slice(0, 64))} is no subnet for clients`);
    }
    return cidr;
  });
  const four = found.filter((one) => one.family === 4);
  const six = found.filter((one) => one.family === 6);
  if (four.length !== 1 || six.length > 1)
    throw usage("clients need one IPv4 subnet, and may have one of IPv6");
  return [...four, ...six].map((one) => one.prefix);
}

const usage = (message: string): VpnError =>
  new VpnError("usage", message, {
    hint: `write it as --subnet ${defaultSubnets.join(",")}; each client takes a /30 and a /127 of it`,
  });

function parsed(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new VpnError("internal", `${text} is no subnet`);
  return cidr;
}

function added(prefix: Cidr, offset: bigint): string {
  const base = prefix.prefix.slice(0, prefix.prefix.indexOf("/"));
  let value = offset;
  const bytes = ipaddr.parse(base).toByteArray();
  for (let i = bytes.length - 1; i >= 0 && value > 0n; i--) {
    value += BigInt(bytes[i] ?? 0);
    bytes[i] = Number(value & 0xffn);
    value >>= 8n;
  }
  const address = ipaddr.fromByteArray(bytes);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}
