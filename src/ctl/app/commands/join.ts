import { VpnError } from "../../../common/errors.js";
import { networkOf } from "../../core/globals.js";
import { networkJson } from "../../core/network-documents.js";
import { reasonText } from "../../core/network-text.js";
import { jsonLine } from "../../core/present.js";
import { notes, printable } from "../../core/table.js";
import { type CtlCommand, withApi } from "../context.js";
import { type CarrierFlags, joinCarrier } from "../join-carrier.js";
import { planText } from "./plan-output.js";

export interface JoinFlags extends CarrierFlags {
  readonly name?: string;
  readonly device?: string;
  readonly mtu?: number;
  readonly noDns?: boolean;
  readonly noWait?: boolean;
  readonly expectPeers?: number;
  readonly dryRun?: boolean;
}

/** vpnd itself ends the waiting for silent servers; gRPC's deadline is only the net below that. */
const deadlineMarginSeconds = 45;

const join: CtlCommand<JoinFlags, [string?]> = async (context, flags, positional) => {
  const network = networkOf(context.globals, positional);
  const { dryRun = false } = flags;
  const carrier = await joinCarrier(context, flags);
  const answer = await withApi(context, (api) =>
    api.networks.join(
      {
        network,
        carrier,
        device: flags.device ?? "",
        mtu: flags.mtu ?? 0,
        name: flags.name ?? "",
        timeoutSeconds: context.globals.timeoutSeconds,
        noDns: flags.noDns ?? false,
        noWait: flags.noWait ?? false,
        expectPeers: flags.expectPeers ?? 0,
        dryRun,
      },
      {
        timeoutMs: (context.globals.timeoutSeconds + deadlineMarginSeconds) * 1000,
        signal: context.signal,
      },
    ),
  );
  const joined = answer.network;
  if (context.globals.json) {
    const { alreadyJoined, notes: remarks, plan } = answer;
    context.out.write(
      jsonLine({
        schema: "vpnctl.join/v1",
        ...(joined && networkJson(joined)),
        alreadyJoined,
        dryRun,
        notes: remarks,
        plan: dryRun ? plan : undefined,
      }),
    );
    return 0;
  }
  if (dryRun) {
    context.out.write(planText(answer.plan) + notes(answer.notes));
    return 0;
  }
  if (joined === undefined) throw new VpnError("internal", "vpnd did not say what it joined");
  const verb = answer.alreadyJoined ? "already joined" : "joined";
  const state =
    joined.state === "up" ? "" : ` (${[joined.state, reasonText(joined.reason)].filter(Boolean).join(": ")})`;
  context.out.write(printable(`${verb} ${joined.name}: ${joined.virtualIp} on ${joined.device}${state}`));
  context.out.write("\n");
  const fingerprint = joined.pskFingerprint === "" ? [] : [`psk fingerprint ${joined.pskFingerprint}`];
  context.out.write(notes([...fingerprint, ...answer.notes.filter((note) => !fingerprint.includes(note))]));
  return 0;
};

export default join;
