import {
  type EngineEvent,
  type HandshakeFailure,
  type Refusal,
  type Role,
  refusals,
} from "../core/engine.js";

/** Event as the addon makes it: all fields of native/src/event_queue.h, numbers for enums. */
export interface RawEvent {
  type: number;
  assoc: number;
  tag: number;
  peer: number;
  capabilities: number;
  epoch: number;
  role: number;
  reason: number;
  refusal: number;
  alert: number;
  cipher: string;
  foreign: boolean;
  rekey: boolean;
  token: bigint;
  rttSeconds: number;
  endpoint: string;
  innerSource: string;
  nodeKey: Uint8Array;
  data: Uint8Array;
}

/** In the order of `Event::Type` in native/src/event_queue.h. */
const types = [
  "datagram",
  "hello",
  "foreign",
  "up",
  "failed",
  "wrong-psk",
  "closed",
  "silent",
  "alive",
  "path",
  "pong",
  "control",
  "rekey-due",
] as const satisfies readonly EngineEvent["type"][];

/** In the order of `Failure` in native/src/event_queue.h. */
const failures = [
  "timeout",
  "wrong-psk",
  "refused",
  "alert",
  "hello-timeout",
  "aborted",
  "overload",
  "signature",
] as const satisfies readonly HandshakeFailure[];

const refusalNames = new Map<number, Refusal>(
  Object.entries(refusals).map(([name, number]) => [number, name as Refusal]),
);

/**
 * @throws Error for a number that no enum has: addon and TypeScript are of different builds
 */
export function toEngineEvent(raw: RawEvent): EngineEvent {
  const { assoc, tag, peer, endpoint, data, epoch } = raw;
  const role: Role = raw.role === 1 ? "client" : "server";
  const type = types[raw.type];
  if (!type) throw new Error(`the addon sent an event of unknown type ${raw.type}`);
  switch (type) {
    case "datagram":
      return { type, from: endpoint, data };
    case "hello":
      return {
        type,
        assoc,
        tag,
        role,
        endpoint,
        nodeKey: raw.nodeKey,
        record: data,
        capabilities: raw.capabilities,
        epoch,
      };
    case "foreign":
      return {
        type,
        assoc,
        tag,
        role,
        endpoint,
        epoch,
        ...(raw.innerSource && { innerSource: raw.innerSource }),
      };
    case "up":
      return {
        type,
        peer,
        assoc,
        tag,
        role,
        endpoint,
        cipher: raw.cipher,
        epoch,
        foreign: raw.foreign,
        rekey: raw.rekey,
      };
    case "failed":
      return failed(raw);
    case "wrong-psk":
      return { type, tag, role, endpoint };
    case "closed":
      return { type, peer, assoc, reason: raw.reason };
    case "silent":
    case "alive":
    case "rekey-due":
      return { type, peer };
    case "path":
      return { type, peer, endpoint };
    case "pong":
      return { type, peer, token: raw.token, rttSeconds: raw.rttSeconds };
    case "control":
      return { type, peer, data };
  }
}

function failed(raw: RawEvent): EngineEvent {
  const reason = failures[raw.reason];
  if (!reason) throw new Error(`the addon sent an unknown failure ${raw.reason}`);
  // A peer may refuse with a number that we do not know yet.
  const refusal = refusalNames.get(raw.refusal);
  return {
    type: "failed",
    assoc: raw.assoc,
    tag: raw.tag,
    endpoint: raw.endpoint,
    reason,
    ...(refusal && { refusal }),
    ...(raw.alert !== 0 && { alert: raw.alert }),
  };
}
