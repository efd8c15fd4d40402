import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import type { CtlContext } from "../context.js";

export interface Change {
  readonly command: string;
  readonly networks: readonly string[];
  readonly dryRun: boolean;
  readonly plan: readonly string[];
  /** What to tell people. */
  readonly text: string;
}

/** Prints what a changing command did, or with `--dry-run` would do. */
export function printChange(context: CtlContext, change: Change): void {
  const { command, networks, dryRun, plan, text } = change;
  if (context.globals.json) {
    context.out.write(
      jsonLine({ schema: "vpnctl.change/v1", command, networks, dryRun, plan: dryRun ? plan : undefined }),
    );
  } else if (dryRun) context.out.write(planText(plan));
  else context.out.write(`${text}\n`);
}

/** The plan, a line each. */
export function planText(plan: readonly string[]): string {
  return plan.map((line) => `${line}\n`).join("") + notes(["dry run: nothing was changed"]);
}
