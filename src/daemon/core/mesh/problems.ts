/** What stands between us and a peer, in words for people. */
import type { Reason } from "../carrier.js";
import type { HandshakeFailure, Refusal } from "../engine.js";
import { labelOf, type Peer, type Problem, virtualIpOf } from "./peer.js";

const problemMs = 90_000;

/** What a failed handshake means to people; undefined: nothing. */
export function problemOfFailure(
  peer: Peer,
  reason: HandshakeFailure,
  refusal: Refusal | undefined,
  now: number,
): Problem | undefined {
  const until = now + problemMs;
  switch (reason) {
    case "aborted":
      return undefined;
    case "wrong-psk":
      return wrongPsk(now);
    case "refused":
      return { reason: refusalReason(peer, refusal), refused: true, until };
    case "timeout":
    case "hello-timeout":
      return { reason: { code: "timeout", message: "no answer to the handshake" }, refused: false, until };
    case "overload":
      return { reason: { code: "overload", message: "too many handshakes at once" }, refused: false, until };
    case "signature":
      return {
        reason: {
          code: "signature",
          message: "what answered there does not have the peer's node key; somebody may be in the middle",
        },
        refused: true,
        until,
      };
    case "alert":
      return {
        reason: { code: "handshake", message: "the peer ended the handshake with an alert" },
        refused: false,
        until,
      };
  }
}

export function wrongPsk(now: number): Problem {
  const message = "the peer uses another PSK; compare the fingerprints of: vpnctl psk status";
  return { reason: { code: "wrong-psk", message }, refused: true, until: now + problemMs };
}

/** Our own refusal of what answered at the peer's address. */
export function ownRefusal(peer: Peer, refusal: Refusal, now: number): Problem {
  const messages: Partial<Record<Refusal, string>> = {
    pinned:
      `another node key than the known one answers for ${virtualIpOf(peer)}; ` +
      `if the node was reinstalled: vpnctl peer remove ${virtualIpOf(peer)}`,
    conflict: "it claims the virtual IP of this node",
  };
  const message = messages[refusal] ?? "its node record is not acceptable";
  return { reason: { code: refusal, message }, refused: true, until: now + problemMs };
}

function refusalReason(peer: Peer, refusal: Refusal | undefined): Reason {
  const name = labelOf(peer);
  switch (refusal) {
    case "pinned":
      return {
        code: "pinned",
        message: `${name} knows this node's virtual IP under another key; there: vpnctl peer remove`,
      };
    case "version":
      return { code: "version", message: `${name} speaks another version of the protocol` };
    case "no-cipher":
      return { code: "no-cipher", message: `${name} has no data cipher in common` };
    case "conflict":
      return { code: "conflict", message: `${name} sees this node's virtual IP as taken` };
    case "excluded":
      return { code: "excluded", message: `${name} has excluded this node` };
    case undefined:
      return { code: "refused", message: `${name} refused the session` };
    default:
      return { code: refusal, message: `${name} refused this node's hello` };
  }
}
