import { setTimeout as delay } from "node:timers/promises";
import { canonicalAddress } from "../../../common/endpoint.js";
import { errorTable, VpnError } from "../../../common/errors.js";
import { gatewayToken } from "../../../common/gateway/token.js";
import { checkGatewayUrl, checkProxyUrl } from "../../../common/gateway/url.js";
import { echoReply, echoRequest } from "../../core/echo.js";
import { errorText } from "../../core/error-text.js";
import { type GatewayPong, gatewayPongLine, gatewayPongText } from "../../core/gateway-ping.js";
import { pingSummary } from "../../core/peer-text.js";
import type { Tunnel } from "../../io/gateway-tunnel.js";
import type { CtlCommand, CtlContext } from "../context.js";
import { readTokenFile } from "../named-secrets.js";

export interface GatewayPingFlags {
  readonly tokenFile?: string;
  readonly fanqiang?: boolean;
  readonly proxy?: string;
  /** 0: until Ctrl-C. */
  readonly count?: number;
  /** Seconds. */
  readonly interval?: number;
}

const defaultCount = 4;
const defaultIntervalSeconds = 1;
const defaultAnswerSeconds = 2;

/** Exit 0 when at least one answer came. */
const gatewayPing: CtlCommand<GatewayPingFlags, [string, string]> = async (context, flags, url, target) => {
  const { json, debug } = context.globals;
  const to = canonicalAddress(target);
  if (to === undefined)
    throw new VpnError("usage", `${JSON.stringify(target.slice(0, 100))} is no address`, {
      hint: "name an IPv4 or IPv6 address of a host on the Internet",
    });
  const { href: gateway } = checkGatewayUrl(url);
  const tunnel = await open(context, flags, gateway);
  const rtts: number[] = [];
  let sent = 0;
  try {
    const from = ownAddress(tunnel, to);
    for await (const rttSeconds of pings(context, flags, tunnel, { from, to })) {
      sent += 1;
      if (rttSeconds !== undefined) rtts.push(rttSeconds);
      const pong: GatewayPong = {
        gateway,
        address: to,
        from,
        sequence: sent,
        ...(rttSeconds !== undefined && { rttSeconds }),
      };
      context.out.write(json ? gatewayPongLine(pong) : gatewayPongText(pong));
    }
  } finally {
    tunnel.close();
    if (!json && sent > 0) context.out.write(pingSummary(sent, rtts));
  }
  if (rtts.length > 0) return 0;
  const silent = new VpnError("no-reply", `${to} does not answer by way of the gateway`, {
    hint: "gateways drop what is for private and special addresses, unless they allow it",
  });
  context.err.write(errorText(silent, debug));
  return errorTable["no-reply"].exit;
};

async function open(context: CtlContext, flags: GatewayPingFlags, url: string): Promise<Tunnel> {
  const { tokenFile, fanqiang = false, proxy } = flags;
  if (fanqiang && tokenFile !== undefined)
    throw new VpnError("usage", "gateways of fanqiang-poc take no token", { hint: "leave --token-file out" });
  const token = tokenFile === undefined ? "" : gatewayToken(await readTokenFile(context, tokenFile));
  const { openTunnel } = await import("../../io/gateway-tunnel.js");
  const { signal } = context;
  try {
    const way = proxy === undefined ? {} : { proxy: checkProxyUrl(proxy) };
    return await openTunnel({ url, ...way, token, fanqiang, signal });
  } catch (error) {
    throw signal.aborted ? new VpnError("cancelled", "cancelled") : error;
  }
}

/** This end's address behind the gateway, of the target's family. */
function ownAddress({ hello }: Tunnel, to: string): string {
  const own = hello.addresses
    .map((cidr) => cidr.slice(0, cidr.indexOf("/")))
    .find((address) => address.includes(":") === to.includes(":"));
  if (own !== undefined) return own;
  const family = to.includes(":") ? "IPv6" : "IPv4";
  throw new VpnError("failed", `the gateway gives its clients no ${family} addresses`, {
    hint: "ping an address of the other family",
  });
}

/** Round trips, seconds; undefined: no answer in time. @throws VpnError when the connection ends, or at Ctrl-C */
async function* pings(
  { globals, random, signal }: CtlContext,
  { count = defaultCount, interval = defaultIntervalSeconds }: GatewayPingFlags,
  tunnel: Tunnel,
  ends: { from: string; to: string },
): AsyncGenerator<number | undefined> {
  const patienceMs = (globals.timeoutGiven ? globals.timeoutSeconds : defaultAnswerSeconds) * 1000;
  const id = Buffer.from(random(2)).readUInt16BE();
  const ended = AbortSignal.any([signal, tunnel.over]);
  for (let probe = 1; ; probe++) {
    const sequence = probe & 0xffff;
    const sentAt = performance.now();
    const answer = new Promise<number>((resolve) => {
      tunnel.onPacket = (packet) => {
        if (echoReply(packet, { ...ends, id }) === sequence) resolve((performance.now() - sentAt) / 1000);
      };
    });
    tunnel.send(echoRequest({ ...ends, id, sequence }));
    yield await within(answer, patienceMs, ended);
    if (probe === count) return;
    await within(undefined, interval * 1000 - (performance.now() - sentAt), ended);
  }
}

/** What comes in time; undefined: nothing. @param work absent: nothing is waited for but the time @throws VpnError when it is ended */
async function within<T>(
  work: Promise<T> | undefined,
  ms: number,
  ended: AbortSignal,
): Promise<T | undefined> {
  const over = new AbortController();
  const time = delay(Math.max(0, ms), undefined, { signal: AbortSignal.any([ended, over.signal]) });
  try {
    return await Promise.race([time, ...(work === undefined ? [] : [work])]);
  } catch {
    throw ended.reason instanceof VpnError ? ended.reason : new VpnError("cancelled", "cancelled");
  } finally {
    over.abort();
    time.catch(() => {});
  }
}

export default gatewayPing;
