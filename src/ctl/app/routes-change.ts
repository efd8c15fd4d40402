import { VpnError } from "../../common/errors.js";
import { jsonLine } from "../core/present.js";
import { notes, printable } from "../core/table.js";
import { planText } from "./commands/plan-output.js";
import type { CtlContext } from "./context.js";

/** As all four changes are answered. */
export interface RoutesAnswer {
  readonly network: string;
  readonly notes: readonly string[];
  readonly plan: readonly string[];
  readonly already: boolean;
}

export type RoutesCommand = "offer" | "withdraw" | "accept" | "reject";

/** @param text what was done, said when something was */
export function printRoutesChange(
  context: CtlContext,
  command: RoutesCommand,
  dryRun: boolean,
  answer: RoutesAnswer,
  text: string,
): void {
  const { network, already } = answer;
  if (context.globals.json) {
    const plan = dryRun ? answer.plan : undefined;
    const document = { schema: "vpnctl.routes-change/v1", command, network, already, dryRun };
    context.out.write(jsonLine({ ...document, notes: answer.notes, plan }));
    return;
  }
  if (dryRun) {
    context.out.write(planText(answer.plan));
    return;
  }
  const said = already ? `nothing to change in ${network}` : `${text} in ${network}`;
  context.out.write(`${printable(said)}\n${notes(answer.notes)}`);
}

/** PEER|all and the CIDRs after it. @throws VpnError `usage` */
export function peerAndPrefixes(command: RoutesCommand, words: readonly string[]): [string, string[]] {
  const [peer, ...prefixes] = words;
  if (peer !== undefined) return [peer, prefixes];
  throw new VpnError("usage", "no peer named", {
    hint: `vpnctl routes ${command} PEER, or all; see who offers what: vpnctl routes list`,
  });
}

/** Whose: "10.1.0.0/24 of gw", "everything of all peers". */
export function whose(peer: string, prefixes: readonly string[]): string {
  const what = prefixes.length === 0 ? "what is offered" : prefixes.join(", ");
  return `${what} by ${peer === "all" ? "any peer" : peer}`;
}
