import { VpnError } from "../../../common/errors.js";
import { formatRtt } from "../../../common/format/duration.js";
import { derivePskKey, fingerprint, parsePsk } from "../../../common/psk.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import type { ProbeVerdict } from "../../io/probe.js";
import type { CtlCommand } from "../context.js";
import { readPskFile } from "../named-secrets.js";

export interface ProbeFlags {
  readonly pskFile?: string;
  readonly badger?: boolean;
}

const defaultTimeoutSeconds = 5;

/** A word for JSON, what it means, and what to do about it. */
const words: Readonly<Record<ProbeVerdict, { state: string; exit: number; hint: string }>> = {
  right: { state: "ok", exit: 0, hint: "" },
  wrong: {
    state: "wrong-psk",
    exit: 1,
    hint: "compare the fingerprints: vpnctl psk status, on both sides",
  },
  other: { state: "other-service", exit: 1, hint: "is it vpnd's UDP port? see there: vpnctl network" },
  silent: {
    state: "no-reply",
    exit: 8,
    hint: "a NAT or firewall may be in between, or the port is another one; see there: vpnctl network",
  },
  closed: { state: "port-closed", exit: 8, hint: "is vpnd running there? its port: vpnctl network" },
};

const messages: Readonly<Record<ProbeVerdict, string>> = {
  right: "is there, and has this PSK",
  wrong: "is there, but has another PSK",
  other: "speaks DTLS, but not as vpnd does",
  silent: "does not answer",
  closed: "does not answer: nobody listens on that port",
};

const probeCommand: CtlCommand<ProbeFlags, [string]> = async (context, flags, text) => {
  const { host, port } = parseTarget(text);
  const psk = parsePsk(await readPskFile(context, flags.pskFile), { badger: flags.badger ?? false });
  const key = Buffer.from(derivePskKey(psk, "probe")).toString("hex");
  const { timeoutGiven, timeoutSeconds, json } = context.globals;
  const { probe } = await import("../../io/probe.js");
  const { verdict, seconds } = await probe({
    host,
    port,
    key,
    timeoutSeconds: timeoutGiven ? timeoutSeconds : defaultTimeoutSeconds,
    signal: context.signal,
  });
  if (context.signal.aborted) throw new VpnError("cancelled", "cancelled");
  const { state, exit, hint } = words[verdict];
  const endpoint = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const mark = fingerprint(psk);
  if (json) {
    context.out.write(
      jsonLine({
        schema: "vpnctl.probe/v1",
        endpoint,
        reachable: verdict !== "silent" && verdict !== "closed",
        pskMatches: verdict === "right",
        state,
        pskFingerprint: mark,
        handshakeSeconds: seconds,
      }),
    );
    return exit;
  }
  if (verdict !== "right") {
    throw new VpnError(exit === 8 ? "no-reply" : "failed", `${endpoint} ${messages[verdict]}`, { hint });
  }
  const time = seconds === undefined ? "" : ` (handshake ${formatRtt(seconds)})`;
  context.out.write(`${endpoint} ${messages.right}${time}\n${notes([`psk fingerprint ${mark}`])}`);
  return 0;
};

function parseTarget(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new VpnError("usage", `"${text}" is no endpoint`, {
      hint: "write HOST:PORT or [IPV6]:PORT; a peer's is shown by: vpnctl peers",
    });
  }
  return { host, port };
}

export default probeCommand;
