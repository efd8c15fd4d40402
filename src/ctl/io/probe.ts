import { ProbeRelay, type Replies } from "./probe-relay.js";

/**
 * `right`: somebody there holds the PSK. `wrong`: it speaks DTLS with PSKs, but not with this one. `other`: it speaks DTLS, but
 * not as vpnd does. `silent`: nothing came back. `closed`: nobody listens on that port.
 */
export type ProbeVerdict = "right" | "wrong" | "other" | "silent" | "closed";

export interface ProbeOutcome {
  verdict: ProbeVerdict;
  /** From the first datagram to the end of the handshake; only with `right`. */
  seconds?: number;
}

export interface ProbeTarget {
  host: string;
  port: number;
  /** Key of the identity `vpnd-probe`, as text. */
  key: string;
  timeoutSeconds: number;
  signal: AbortSignal;
}

const identity = "vpnd-probe";
/** A peer that is changing its PSK tries one at a time. */
const tries = 3;
/** For the client's last words. */
const lingerMs = 300;
const decryptError = 51;
const unknownPskIdentity = 115;
const handshakeFailure = 40;

/** Asks whether a peer is there and holds the PSK; needs neither root nor vpnd. @throws VpnError `no-reply` as the relay */
export async function probe(target: ProbeTarget): Promise<ProbeOutcome> {
  const deadline = performance.now() + target.timeoutSeconds * 1000;
  for (let attempt = 1; ; attempt++) {
    const outcome = await tryOnce(target, deadline - performance.now());
    const more = attempt < tries && performance.now() < deadline && !target.signal.aborted;
    if (outcome.verdict !== "wrong" || !more) return outcome;
  }
}

async function tryOnce(target: ProbeTarget, timeoutMs: number): Promise<ProbeOutcome> {
  const { dtls } = await import("node-dtls-client");
  const relay = await ProbeRelay.open(target.host, target.port);
  const began = performance.now();
  return new Promise((resolve) => {
    const socket = dtls.createSocket({
      type: "udp4",
      address: "127.0.0.1",
      port: relay.port,
      psk: { [identity]: target.key },
      ciphers: ["TLS_PSK_WITH_AES_128_GCM_SHA256"],
      timeout: Math.max(1000, timeoutMs),
    });
    const end = (outcome: ProbeOutcome): void => {
      clearTimeout(timer);
      target.signal.removeEventListener("abort", stop);
      relay.onReply = () => {};
      socket.removeAllListeners();
      const over = (): void => {
        process.off("uncaughtException", stop);
        relay.close();
      };
      socket.on("error", over);
      if (outcome.verdict === "right") socket.close(over);
      else relay.endClient();
      setTimeout(over, lingerMs).unref();
      resolve(outcome);
    };
    const stop = (): void => end({ verdict: verdictOf(relay.replies) });
    // The library throws where nobody can catch it when what comes back is no DTLS that it understands.
    process.on("uncaughtException", stop);
    const timer = setTimeout(stop, Math.max(0, timeoutMs));
    target.signal.addEventListener("abort", stop, { once: true });
    relay.onReply = () => {
      if (relay.replies.refused || relay.replies.alert !== undefined) stop();
    };
    socket.on("connected", () => end({ verdict: "right", seconds: (performance.now() - began) / 1000 }));
    socket.on("error", stop);
  });
}

function verdictOf(replies: Replies): ProbeVerdict {
  if (replies.dtls === 0) return replies.refused ? "closed" : "silent";
  if (replies.alert === decryptError || replies.alert === unknownPskIdentity) return "wrong";
  if (replies.alert === handshakeFailure || !replies.serverHello) return "other";
  // It said no more after our Finished: some do, when they cannot open it.
  return "wrong";
}
