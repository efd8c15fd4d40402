import type { NetworkPlan, Trace } from "../../common/gen/vpnd/v1/system_pb.js";
import { type Look, plain } from "./look.js";
import { reasonText } from "./network-text.js";
import { notes, printable, table } from "./table.js";

/** A heading for each network, its steps in order below it, numbered. */
export function plansText(plans: readonly NetworkPlan[], look: Look = plain): string {
  if (plans.length === 0) return notes(["no networks; join one: vpnctl join --help"]);
  return plans.map((plan) => planText(plan, look)).join("\n");
}

function planText(plan: NetworkPlan, look: Look): string {
  const heading = `${printable(`network: ${plan.network} (${plan.state})`)}\n`;
  if (plan.obstacle) return heading + notes([`it cannot come up: ${reasonText(plan.obstacle)}`]);
  const rows = plan.steps.map((step, index) => [String(index + 1), step.state, step.description, step.undo]);
  const missing = plan.steps.some((step) => step.state === "missing")
    ? notes([
        `somebody undid what is missing; to repair it: vpnctl down ${plan.network}; vpnctl up ${plan.network}`,
      ])
    : "";
  return heading + table(["STEP", "STATE", "CHANGE", "UNDO"], rows, { look, droppable: ["UNDO"] }) + missing;
}

export function footprintText(traces: readonly Trace[], moreFiles: number, look: Look = plain): string {
  const rows = traces.map((trace) => [
    trace.kind,
    trace.name,
    trace.network || "-",
    trace.present ? "yes" : "no",
    trace.detail,
  ]);
  const text = table(["KIND", "NAME", "NETWORK", "THERE", "DETAIL"], rows, { look, droppable: ["DETAIL"] });
  const remarks = [
    ...(traces.some((trace) => !trace.present) ? ["what is not there was removed by somebody else"] : []),
    ...(moreFiles > 0 ? [`and ${moreFiles} more files`] : []),
  ];
  return text + notes(remarks);
}
