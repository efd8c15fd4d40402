import type { NetworkPlan, Trace } from "../../common/gen/vpnd/v1/system_pb.js";
import { reasonJson } from "./network-documents.js";
import { filled, type Json } from "./present.js";

export function planJson(plan: NetworkPlan): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.plan/v1",
    network: plan.network,
    state: plan.state,
    steps: plan.steps.map(({ kind, description, undo, state }) => ({ kind, description, undo, state })),
    obstacle: reasonJson(plan.obstacle),
  };
}

export function footprintJson(
  traces: readonly Trace[],
  moreFiles: number,
): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.footprint/v1",
    traces: traces.map((trace) => ({
      kind: trace.kind,
      name: trace.name,
      detail: filled(trace.detail),
      network: filled(trace.network),
      present: trace.present,
    })),
    moreFiles,
  };
}
