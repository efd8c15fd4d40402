import type { NetworkRules } from "../../common/gen/vpnd/v1/filter_pb.js";
import { filled, type Json } from "./present.js";

/** A network's rules, without the name of the schema. */
export function rulesJson({ network, allowOthers, rules, filtered }: NetworkRules): { [key: string]: Json } {
  return {
    network,
    default: allowOthers ? "allow" : "deny",
    rules: rules.map(({ allow, services, from, text }, index) => ({
      position: index + 1,
      verdict: allow ? "allow" : "deny",
      services,
      from: from.map(({ virtualIp, name }) => ({ virtualIp: filled(virtualIp), name: filled(name) })),
      text,
    })),
    filteredPackets: Number(filtered),
  };
}
