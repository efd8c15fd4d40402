import { VpnError } from "../../../common/errors.js";
import { type FilterService, filterProtocols } from "./engine-filter.js";

const lastPort = 65_535;
const known: readonly string[] = filterProtocols;

/** Reads "tcp", "udp/53", "tcp/8000-8100", "icmp". @throws VpnError `usage` */
export function parseService(text: string): FilterService {
  const [, word = "", from, to] = /^([a-z]+)(?:\/(\d{1,5})(?:-(\d{1,5}))?)?$/i.exec(text) ?? [];
  const protocol = filterProtocols.find((one) => one === word.toLowerCase());
  if (protocol === undefined) throw unknown(text, word);
  if (from === undefined) return { protocol, first: 0, last: lastPort };
  if (protocol === "icmp") throw bad(text, "ICMP has no ports", "write icmp");
  const first = Number(from);
  const last = to === undefined ? first : Number(to);
  if (first < 1 || last > lastPort || first > lastPort) {
    throw bad(text, "ports go from 1 to 65535", "write tcp/22 or udp/8000-8100");
  }
  if (last < first) throw bad(text, "the range is empty", `write ${protocol}/${last}-${first}`);
  return { protocol, first, last };
}

/** As `parseService` reads it. */
export function serviceText({ protocol, first, last }: FilterService): string {
  if (first === 0 && last === lastPort) return protocol;
  return first === last ? `${protocol}/${first}` : `${protocol}/${first}-${last}`;
}

/** Whether all of `inner` is in `outer`. */
export function holdsService(outer: FilterService, inner: FilterService): boolean {
  return outer.protocol === inner.protocol && outer.first <= inner.first && inner.last <= outer.last;
}

function unknown(text: string, word: string): VpnError {
  if (/^\d+(-\d+)?$/.test(text))
    return bad(text, "the protocol is missing", `write tcp/${text} or udp/${text}`);
  if (known.includes(word.toLowerCase()))
    return bad(text, "that is no port", "write tcp/22 or udp/8000-8100");
  return bad(text, "it is no protocol with ports", "write tcp/22, udp/8000-8100, tcp, udp or icmp");
}

function bad(text: string, why: string, hint: string): VpnError {
  return new VpnError("usage", `${JSON.stringify(text.slice(0, 64))}: ${why}`, { hint });
}
