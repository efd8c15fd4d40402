import { VpnError } from "../../common/errors.js";
import type { SetPskResponse } from "../../common/gen/vpnd/v1/key_pb.js";
import { jsonLine } from "../core/present.js";
import { pskSetJson } from "../core/psk-documents.js";
import { pskSetText } from "../core/psk-text.js";
import { notes } from "../core/table.js";
import { planText } from "./commands/plan-output.js";
import { type CtlContext, unaryOptions, withApi } from "./context.js";

export interface PskChange {
  readonly network: string;
  readonly psk: Uint8Array;
  readonly graceSeconds: number;
  readonly dryRun: boolean;
}

/** Asks vpnd to prefer a key. */
export function setPsk(context: CtlContext, change: PskChange): Promise<SetPskResponse> {
  const { network, psk, graceSeconds, dryRun } = change;
  return withApi(context, (api) =>
    api.keys.setPsk({ network, psk, graceSeconds, dryRun }, unaryOptions(context)),
  );
}

/** What is known of a generated key beside vpnd's answer. */
export interface Generated {
  /** File that holds it; absent: it was printed. */
  readonly file?: string;
  /** Text form, only when it was to be printed. */
  readonly key?: string;
}

/** Prints what `psk set` and `psk rotate` did, or would do. */
export function printPskChange(
  context: CtlContext,
  answer: SetPskResponse,
  dryRun: boolean,
  generated: Generated = {},
): void {
  const { psk } = answer;
  if (psk === undefined) throw new VpnError("internal", "vpnd did not say which keys it accepts");
  if (context.globals.json) {
    context.out.write(jsonLine(pskSetJson(psk, answer, dryRun, generated)));
    return;
  }
  if (dryRun) {
    context.out.write(planText(answer.plan) + notes(answer.notes));
    return;
  }
  const text = pskSetText(psk, answer, generated.file, context.now());
  if (generated.key === undefined) context.out.write(text);
  else {
    // Only the key on standard output, so that it can be redirected into a file as it is.
    context.out.write(`${generated.key}\n`);
    context.err.write(text);
  }
}
