import { errorTable, VpnError } from "../../../common/errors.js";
import { errorText } from "../../core/error-text.js";
import { pingJson } from "../../core/peer-documents.js";
import { pingSummary, pingText } from "../../core/peer-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, withApi } from "../context.js";

interface PingFlags {
  /** 0: until Ctrl-C. */
  readonly count?: number;
  /** Seconds. */
  readonly interval?: number;
}

const defaultCount = 4;
const defaultIntervalSeconds = 1;
const defaultAnswerSeconds = 2;

/** Exit 0 when at least one answer came. */
const ping: CtlCommand<PingFlags, [string]> = async (context, flags, peer) =>
  withApi(context, async (api) => {
    const { json, network, timeoutGiven, timeoutSeconds } = context.globals;
    const request = {
      network,
      peer,
      count: flags.count ?? defaultCount,
      intervalSeconds: flags.interval ?? defaultIntervalSeconds,
      timeoutSeconds: timeoutGiven ? timeoutSeconds : defaultAnswerSeconds,
    };
    const rtts: number[] = [];
    let sent = 0;
    try {
      for await (const pong of api.peers.ping(request, { signal: context.signal })) {
        sent++;
        if (pong.rttSeconds !== undefined) rtts.push(pong.rttSeconds);
        context.out.write(json ? jsonLine(pingJson(pong)) : pingText(pong));
      }
    } finally {
      if (!json && sent > 0) context.out.write(pingSummary(sent, rtts));
    }
    if (rtts.length > 0) return 0;
    const silent = new VpnError("no-reply", `${peer} does not answer`, {
      hint: `see why: vpnctl peer ${peer}`,
    });
    context.err.write(errorText(silent, context.globals.debug));
    return errorTable["no-reply"].exit;
  });

export default ping;
