/**
 * The language of `--filter`, that of tcpdump as far as the log has columns for it (docs/packet-log.md):
 *
 *     filter    = conjunction { "or" conjunction }
 *     conjunction = term { "and" term }
 *     term      = "not" term | "(" filter ")" | primitive
 *     primitive = [ PROTOCOL ] [ "src" | "dst" ] ( "host" ADDRESS | "net" CIDR | "port" N | "portrange" N-N | ADDRESS )
 *               | PROTOCOL | "proto" ( N | PROTOCOL )
 */
import ipaddr from "ipaddr.js";
import { canonicalAddress } from "../../endpoint.js";
import { VpnError } from "../../errors.js";
import { type Token, tokens } from "./filter-tokens.js";

export type Side = "source" | "destination" | "either";

export type Filter =
  | { kind: "and" | "or"; of: readonly Filter[] }
  | { kind: "not"; of: Filter }
  /** Canonical. */
  | { kind: "host"; side: Side; address: string }
  | { kind: "net"; side: Side; cidr: string }
  | { kind: "ports"; side: Side; from: number; to: number }
  | { kind: "protocol"; protocol: number }
  | { kind: "version"; version: 4 | 6 };

export const longestFilter = 1000;
const deepest = 50;

const names: ReadonlyMap<string, Filter> = new Map([
  ["ip", { kind: "version", version: 4 }],
  ["ip6", { kind: "version", version: 6 }],
  ["icmp", { kind: "protocol", protocol: 1 }],
  ["tcp", { kind: "protocol", protocol: 6 }],
  ["udp", { kind: "protocol", protocol: 17 }],
  ["gre", { kind: "protocol", protocol: 47 }],
  ["esp", { kind: "protocol", protocol: 50 }],
  ["icmp6", { kind: "protocol", protocol: 58 }],
  ["sctp", { kind: "protocol", protocol: 132 }],
]);
const sides: ReadonlyMap<string, Side> = new Map([
  ["src", "source"],
  ["dst", "destination"],
]);
const whatComes = "host, net, port, portrange, proto, src, dst, tcp, udp, icmp, icmp6, ip, ip6, not or (";

/**
 * Undefined: the text is empty, and everything is meant.
 * @throws VpnError `usage` that points at the place
 */
export function parseFilter(text: string): Filter | undefined {
  if (text.length > longestFilter) {
    throw new VpnError("usage", `the filter is longer than ${longestFilter} characters`, {
      hint: "use net instead of many hosts",
    });
  }
  const parser = new Parser(text);
  return parser.all();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokens(text);
  }

  all(): Filter | undefined {
    if (this.#tokens.length === 0) return undefined;
    const filter = this.#disjunction();
    const rest = this.#tokens[this.#at];
    if (rest !== undefined) throw this.#wrong("and, or, or the end", rest);
    return filter;
  }

  #disjunction(): Filter {
    return this.#list("or", () => this.#list("and", () => this.#term()));
  }

  #list(kind: "and" | "or", next: () => Filter): Filter {
    const of = [next()];
    while (this.#take(kind) !== undefined) of.push(next());
    return of.length === 1 && of[0] !== undefined ? of[0] : { kind, of };
  }

  #term(): Filter {
    if (this.#depth >= deepest) throw this.#wrong(`at most ${deepest} levels`, this.#tokens[this.#at]);
    this.#depth += 1;
    try {
      if (this.#take("not") !== undefined) return { kind: "not", of: this.#term() };
      if (this.#take("(") === undefined) return this.#primitive();
      const inner = this.#disjunction();
      if (this.#take(")") === undefined) throw this.#wrong("and, or, or )", this.#tokens[this.#at]);
      return inner;
    } finally {
      this.#depth -= 1;
    }
  }

  #primitive(): Filter {
    const first = this.#tokens[this.#at];
    if (this.#take("proto") !== undefined) return this.#protocol();
    const named = names.get(first?.text ?? "");
    if (named !== undefined) this.#at += 1;
    const second = this.#tokens[this.#at];
    const side = sides.get(second?.text ?? "");
    if (side !== undefined) this.#at += 1;
    const about = this.#about(side ?? "either");
    if (about === undefined) {
      if (named !== undefined && side === undefined) return named;
      const expected = side === undefined ? whatComes : "host, net, port, portrange or an address";
      throw this.#wrong(expected, this.#tokens[this.#at]);
    }
    return named === undefined ? about : { kind: "and", of: [named, about] };
  }

  #about(side: Side): Filter | undefined {
    if (this.#take("host") !== undefined) {
      const value = this.#tokens[this.#at];
      const address = canonicalAddress(value?.text ?? "");
      if (address === undefined) throw this.#wrong("an address, such as 10.0.0.2,", value);
      this.#at += 1;
      return { kind: "host", side, address };
    }
    if (this.#take("net") !== undefined) return this.#net(side);
    if (this.#take("port") !== undefined) {
      const port = this.#number(65_535, "a port, 0 to 65535,");
      return { kind: "ports", side, from: port, to: port };
    }
    if (this.#take("portrange") !== undefined) return this.#range(side);
    const address = canonicalAddress(this.#tokens[this.#at]?.text ?? "");
    if (address === undefined) return undefined;
    this.#at += 1;
    return { kind: "host", side, address };
  }

  #net(side: Side): Filter {
    const value = this.#tokens[this.#at];
    const cidr = canonicalNet(value?.text ?? "");
    if (cidr === undefined) throw this.#wrong("a network without host bits, such as 10.1.0.0/16,", value);
    this.#at += 1;
    return { kind: "net", side, cidr };
  }

  #range(side: Side): Filter {
    const value = this.#tokens[this.#at];
    const match = /^(\d{1,5})-(\d{1,5})$/.exec(value?.text ?? "");
    const [from, to] = [Number(match?.[1]), Number(match?.[2])];
    if (match === null || from > to || to > 65_535) throw this.#wrong("ports, such as 8000-8080,", value);
    this.#at += 1;
    return { kind: "ports", side, from, to };
  }

  #protocol(): Filter {
    const value = this.#tokens[this.#at];
    const named = names.get(value?.text ?? "");
    if (named?.kind === "protocol") {
      this.#at += 1;
      return named;
    }
    return { kind: "protocol", protocol: this.#number(255, "a protocol, 0 to 255 or a name,") };
  }

  #number(most: number, expected: string): number {
    const value = this.#tokens[this.#at];
    const number = /^\d{1,5}$/.test(value?.text ?? "") ? Number(value?.text) : Number.NaN;
    if (!(number <= most)) throw this.#wrong(expected, value);
    this.#at += 1;
    return number;
  }

  #take(word: string): Token | undefined {
    const token = this.#tokens[this.#at];
    if (token?.text !== word) return undefined;
    this.#at += 1;
    return token;
  }

  #wrong(expected: string, token: Token | undefined): VpnError {
    const what = token === undefined ? "the end" : JSON.stringify(token.text.slice(0, 40));
    const column = (token?.at ?? this.#text.trimEnd().length) + 1;
    return new VpnError("usage", `--filter, column ${column}: ${what}, where ${expected} belongs`, {
      hint: "such as --filter 'host 10.0.0.2 and tcp port 443'",
    });
  }
}

function canonicalNet(text: string): string | undefined {
  const match = /^([0-9A-Fa-f:.]{2,45})\/(\d{1,3})$/.exec(text);
  const address = canonicalAddress(match?.[1] ?? "");
  if (match === null || address === undefined) return undefined;
  const prefix = Number(match[2]);
  const bits = address.includes(":") ? 128 : 32;
  if (prefix > bits) return undefined;
  const bytes = ipaddr.parse(address).toByteArray();
  const isHostBit = (bit: number): boolean => (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1;
  for (let bit = prefix; bit < bits; bit++) if (isHostBit(bit)) return undefined;
  return `${address}/${prefix}`;
}
