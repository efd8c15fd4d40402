/**
 * How long the kernel remembers idle TCP connections of a gateway's clients, and of nobody else: with its own five days, those of
 * clients that vanished would take up ports that others need. A table of its own, because not every kernel can do it.
 */
import type { Item } from "../system/items.js";
import { clientDevices } from "./nat.js";

const name = "vpnd-gateway-timeouts";
/** Seconds; established ones as RFC 5382 asks (REQ-5: at least two hours and four minutes). UDP is short in the kernel already. */
const policy =
  "{ syn_sent: 30, syn_recv: 30, established: 7440, fin_wait: 60, close_wait: 60, last_ack: 30, time_wait: 30, close: 10 }";

const timeout = (family: 4 | 6): string => `
  ct timeout tcp${family} {
    protocol tcp
    l3proto ${family === 4 ? "ip" : "ip6"}
    policy = ${policy}
  }`;

/** nft 1.0.6 takes such objects as JSON, too, but forgets the times. */
const more = `table inet ${name} {${timeout(4)}${timeout(6)}
  chain prerouting {
    type filter hook prerouting priority 0; policy accept;
    iifname "${clientDevices}" meta nfproto ipv4 meta l4proto tcp ct timeout set "tcp4"
    iifname "${clientDevices}" meta nfproto ipv6 meta l4proto tcp ct timeout set "tcp6"
  }
}`;

export const timeoutItems: readonly Item[] = [
  { kind: "nft-table", family: "inet", name, commands: [], more },
];
