import type { Dns, Network } from "../../common/gen/vpnd/v1/network_pb.js";

/** What becomes of names, in a line; undefined: vpnd says nothing of them. */
export function namesLine(dns: Dns | undefined): string | undefined {
  if (dns === undefined) return undefined;
  if (dns.state === "failed") return `failed: ${dns.reason?.message ?? ""}`;
  if (dns.state !== "on") return dns.state;
  const who = dns.askedBy === "none" ? "" : `, asked by ${dns.askedBy}`;
  return `NAME.${dns.domain}${dns.everything ? " and all others" : ""} at ${dns.server}${who}`;
}

/** Where nobody asks by itself: how to ask, a line for each such network. */
export function howToAsk(networks: readonly Network[]): string[] {
  return networks.flatMap(({ name, dns }) => {
    if (dns?.state === "failed") return [`names of ${name} do not work: ${dns.reason?.message ?? ""}`];
    if (dns?.state !== "on" || dns.askedBy !== "none") return [];
    return [
      `this machine does not ask for names of ${name} by itself: dig @${dns.server} ${dns.ownName || dns.domain}`,
    ];
  });
}
