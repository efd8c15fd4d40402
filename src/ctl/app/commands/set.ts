import { VpnError } from "../../../common/errors.js";
import type { ChangeSettingsResponse } from "../../../common/gen/vpnd/v1/settings_pb.js";
import { networkOf } from "../../core/globals.js";
import { jsonLine } from "../../core/present.js";
import { notes, printable } from "../../core/table.js";
import { type CtlCommand, type CtlContext, unaryOptions, withApi } from "../context.js";
import { readTokenFile } from "../named-secrets.js";
import { planText } from "./plan-output.js";

export interface SetFlags {
  readonly iex?: string[];
  readonly vip?: string;
  readonly name?: string;
  readonly device?: string;
  readonly mtu?: number;
  readonly listenPort?: number;
  readonly tcpListen?: string;
  readonly tcpConnect?: string;
  /** Seconds. */
  readonly retention?: number;
  /** Bytes. */
  readonly maxSize?: number;
  readonly log?: string;
  readonly tokenFile?: string;
  readonly proxy?: string;
  readonly route?: readonly string[];
  readonly dns?: boolean;
  readonly dryRun?: boolean;
}

const set: CtlCommand<SetFlags, [string?]> = async (context, flags, positional) => {
  const { dryRun = false, vip, tcpListen, tcpConnect, retention, maxSize, ...others } = flags;
  const { tokenFile, route, ...plain } = others;
  const named = [...Object.values(others), vip, tcpListen, tcpConnect, retention, maxSize];
  if (named.every((value) => value === undefined)) {
    throw new VpnError("usage", "nothing to change is named", {
      hint: "see what there is: vpnctl set --help",
    });
  }
  if (tcpListen !== undefined && tcpConnect !== undefined) {
    throw new VpnError("usage", "--tcp-listen and --tcp-connect exclude each other", {
      hint: "one end listens, the other one connects",
    });
  }
  const request = {
    network: networkOf(context.globals, positional),
    ...plain,
    ...(vip !== undefined && { virtualIp: vip }),
    ...(retention !== undefined && { retentionSeconds: retention }),
    ...(maxSize !== undefined && { maxBytes: BigInt(maxSize) }),
    ...(tcpListen !== undefined && { tcpEnd: { case: "tcpListen" as const, value: tcpListen } }),
    ...(tcpConnect !== undefined && { tcpEnd: { case: "tcpConnect" as const, value: tcpConnect } }),
    ...(tokenFile !== undefined && { token: await tokenIn(context, tokenFile) }),
    ...(route !== undefined && { routes: { prefixes: [...route] } }),
    dryRun,
  };
  const answer = await withApi(context, (api) => api.settings.changeSettings(request, unaryOptions(context)));
  const name = answer.network?.name ?? request.network;
  if (context.globals.json) context.out.write(jsonLine(setJson(name, answer, dryRun)));
  else if (dryRun && answer.changes.length > 0) context.out.write(planText(answer.plan));
  else context.out.write(setText(name, answer));
  return 0;
};

/** @param file empty: no token */
async function tokenIn(context: CtlContext, file: string): Promise<Uint8Array> {
  return file === "" ? new Uint8Array(0) : readTokenFile(context, file);
}

function setJson(network: string, answer: ChangeSettingsResponse, dryRun: boolean) {
  const { effect, notes: remarks, plan } = answer;
  return {
    schema: "vpnctl.set/v1",
    network,
    already: answer.changes.length === 0,
    effect,
    changes: answer.changes.map(({ option, from, to }) => ({ option, from, to })),
    dryRun,
    notes: remarks,
    plan: dryRun ? plan : undefined,
  };
}

function setText(name: string, { changes, notes: remarks }: ChangeSettingsResponse): string {
  if (changes.length === 0) return `nothing to change in ${printable(name)}\n`;
  const lines = changes.map(({ option, from, to }) => {
    const [was, is] = [from, to].map((text) => (text === "" ? "none" : text));
    return `${printable(`${name}: ${option} is now ${is}, was ${was}`)}\n`;
  });
  return lines.join("") + notes(remarks);
}

export default set;
