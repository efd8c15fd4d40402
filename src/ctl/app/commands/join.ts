import { VpnError } from "../../../common/errors.js";
import { parsePsk } from "../../../common/psk.js";
import { networkOf } from "../../core/globals.js";
import { networkJson } from "../../core/network-documents.js";
import { reasonText } from "../../core/network-text.js";
import { jsonLine } from "../../core/present.js";
import { notes, printable } from "../../core/table.js";
import { type CtlCommand, type CtlContext, warn, withApi } from "../context.js";
import { readPskFile } from "../psk-file.js";
import { planText } from "./plan-output.js";

export interface JoinFlags {
  readonly iex?: string[];
  readonly vip?: string;
  readonly pskFile?: string;
  readonly psk?: string;
  readonly name?: string;
  readonly badger?: boolean;
  readonly device?: string;
  readonly mtu?: number;
  readonly listenPort?: number;
  readonly noWait?: boolean;
  readonly expectPeers?: number;
  readonly dryRun?: boolean;
}

/** vpnd itself ends the waiting for silent servers; gRPC's deadline is only the net below that. */
const deadlineMarginSeconds = 45;

const join: CtlCommand<JoinFlags, [string?]> = async (context, flags, positional) => {
  const network = networkOf(context.globals, positional);
  const { badger = false, dryRun = false } = flags;
  if (flags.iex === undefined)
    throw new VpnError("usage", "no rendezvous server is named", { hint: "add --iex HOST:PORT" });
  if (flags.vip === undefined)
    throw new VpnError("usage", "no virtual IP is named", { hint: "add --vip, such as --vip 10.0.0.10/16" });
  const psk = await readPsk(context, flags);
  parsePsk(psk, { badger });
  const answer = await withApi(context, (api) =>
    api.networks.join(
      {
        network,
        carrier: {
          case: "mesh",
          value: {
            iex: flags.iex ?? [],
            virtualIp: flags.vip ?? "",
            psk,
            badger,
            listenPort: flags.listenPort ?? 0,
          },
        },
        device: flags.device ?? "",
        mtu: flags.mtu ?? 0,
        name: flags.name ?? "",
        timeoutSeconds: context.globals.timeoutSeconds,
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

async function readPsk(context: CtlContext, flags: JoinFlags): Promise<Uint8Array> {
  if (flags.psk !== undefined && flags.pskFile !== undefined)
    throw new VpnError("usage", "both --psk and --psk-file are given", { hint: "give one of them" });
  if (flags.psk !== undefined) {
    warn(context, "--psk shows the key to everybody who lists processes; better: --psk-file FILE or -");
    return Buffer.from(flags.psk, "utf8");
  }
  return readPskFile(context, flags.pskFile);
}

export default join;
