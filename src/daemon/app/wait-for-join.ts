import { VpnError } from "../../common/errors.js";
import { parsePostgresUrl } from "../../common/postgres/url.js";
import type { Carrier } from "../core/carrier.js";
import { firstHop } from "../core/gateway/client-options.js";
import type { JoinOptions, NetworkConfig } from "../core/network/config.js";

export interface JoinWait {
  /** How long the servers may be silent. */
  timeoutMs: number;
  /** Also wait for this many peers; 0: don't. */
  expectPeers: number;
}

/** An entry that might be our own older self is a conflict if it is still there after 35 s; allow it a little more. */
const proofMs = 40_000;

/** How often somebody who says no is looked for, milliseconds. */
const lookMs = 200;
/** Reasons that mean that nobody was heard. */
const silences = new Set(["connecting", "silent", "timeout", "unreachable"]);

/** Whom a network waits for, and what may be the matter with them. */
function servers({ iex, tcp, postgres, gateway }: JoinOptions): { who: string; what: string } {
  const what = "does somebody listen there, and is TCP";
  if (tcp !== undefined) return { who: tcp.address, what };
  if (gateway !== undefined) return { who: firstHop(gateway), what };
  if (postgres !== undefined) return { who: parsePostgresUrl(postgres.url).servers.join(", "), what };
  return { who: iex.join(", "), what: "is iexd running there, and UDP" };
}

/**
 * Waits until a server confirmed the node.
 * @throws VpnError `no-reply` when all servers are silent, as it says no when one does, `conflict` when the virtual IP is another's
 */
export async function waitForJoin(
  carrier: Carrier,
  config: NetworkConfig,
  wait: JoinWait,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const over = new AbortController();
  const expire = (): void => {
    const { who, what } = servers(config.asked);
    const { reason } = carrier.view();
    const seconds = wait.timeoutMs / 1000;
    const message =
      reason === undefined
        ? `no answer from ${who} for ${seconds} s`
        : `no connection with ${who} in ${seconds} s: ${reason.message}`;
    const silent = reason === undefined || silences.has(reason.code);
    const hint = `${silent ? `${what} let through? To` : "to"} keep trying: --no-wait`;
    over.abort(new VpnError("no-reply", message, { hint }));
  };
  let timer = setTimeout(() => {
    // A server that answers may yet have to tell whose the virtual IP is.
    const heard = carrier.view().servers.some((server) => server.state === "up");
    if (heard) timer = setTimeout(expire, proofMs);
    else expire();
  }, wait.timeoutMs);
  const look = setInterval(() => {
    const refusal = carrier.refusal?.();
    if (refusal !== undefined) over.abort(refusal);
  }, lookMs);
  const both = AbortSignal.any([signal, over.signal]);
  try {
    await carrier.ready(both);
  } catch (error) {
    // Whoever aborted knows best why.
    both.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    clearInterval(look);
  }
}
