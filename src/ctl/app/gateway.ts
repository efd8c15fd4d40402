/** What the commands of the gateway share. */
import { VpnError } from "../../common/errors.js";
import type { Gateway } from "../../common/gen/vpnd/v1/gateway_pb.js";
import { gatewayJson } from "../core/gateway-documents.js";
import { headline } from "../core/gateway-text.js";
import { jsonLine } from "../core/present.js";
import { notes, printable } from "../core/table.js";
import { planText } from "./commands/plan-output.js";
import type { CtlContext } from "./context.js";

/** The part of an answer that is always there. */
export function present(gateway: Gateway | undefined): Gateway {
  if (gateway === undefined) throw new VpnError("internal", "vpnd did not say how the gateway is");
  return gateway;
}

/** Answers of `start` and `stop`. @param said what of it is said when nothing had to be done */
export function printChange(
  context: CtlContext,
  answer: {
    readonly gateway?: Gateway | undefined;
    readonly already: boolean;
    readonly plan: readonly string[];
    readonly notes: readonly string[];
  },
  dryRun: boolean,
  said: string,
): void {
  const now = present(answer.gateway);
  const { already, plan } = answer;
  if (context.globals.json) {
    const more = { already, dryRun, notes: [...answer.notes], ...(dryRun && { plan: [...plan] }) };
    context.out.write(jsonLine(gatewayJson(now, more)));
  } else if (dryRun) context.out.write(planText(plan) + notes(answer.notes));
  else context.out.write(`${already ? `${printable(said)}\n` : headline(now)}${notes(answer.notes)}`);
}
