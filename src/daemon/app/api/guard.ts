import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { CallContext, ServiceImpl } from "../../../common/grpc/server.js";
import type { MethodTable, ServiceDesc } from "../../../common/grpc/service-types.js";
import type { Access, Caller } from "../../core/access/access.js";
import { isDryRun, networkOfChange, withoutFingerprints } from "../../core/access/audit.js";
import { commandName, methodKind } from "../../core/access/methods.js";
import { mostConnections } from "./connections.js";

export interface Guard {
  /** What the callers of this table may do; "full": nothing, for there are too many of them. */
  access: Access | "full";
  /** Group that may change things, for advice; undefined: there is none. */
  groupName: string | undefined;
  /** @param peer as the call's context has it */
  caller(peer: string): Caller | undefined;
  log: Logger;
  onRefused: () => void;
}

type Body = (request: unknown, context: CallContext) => Promise<unknown> | AsyncIterable<unknown>;

/** The methods of a service as callers with this access get them: refused, without fingerprints, or audited. */
export function guarded<M extends MethodTable>(
  desc: ServiceDesc<M>,
  impl: ServiceImpl<NoInfer<M>>,
  guard: Guard,
): ServiceImpl<M> {
  const table: Record<string, Body> = {};
  for (const method of desc.methods) {
    // The generated table is heterogeneous; what comes out has the types of what went in.
    const found = (impl as Record<string, Body>)[method.localName];
    if (found === undefined) continue;
    const body: Body = (request, context) => found.call(impl, request, context);
    const kind = methodKind(desc.typeName, method.name);
    const command = commandName(method.name);
    const stream = method.methodKind !== "unary";
    const allowed = guard.access === "write" || (guard.access === "read" && kind === "look");
    if (!allowed) table[method.localName] = refusing(command, stream, guard);
    else if (guard.access === "read") table[method.localName] = stripped(body);
    else table[method.localName] = kind === "change" ? audited(command, body, guard) : body;
  }
  return table as ServiceImpl<M>;
}

function refusing(command: string, stream: boolean, guard: Guard): Body {
  const refuse = (context: CallContext): never => {
    if (guard.access === "full") throw noRoom();
    guard.onRefused();
    const { uid, pid } = guard.caller(context.peer) ?? {};
    guard.log.debug({ uid, pid, command }, "refused");
    throw refusal(command, guard);
  };
  if (!stream) return async (_, context) => refuse(context);
  return async function* (_, context) {
    yield refuse(context);
  };
}

function noRoom(): VpnError {
  return new VpnError(
    "failed",
    `vpnd has no connection free: it serves ${mostConnections}, and each user who may only look 16`,
    {
      hint: "end programs that hold some, such as vpnctl ... --watch; to see them: pgrep -a vpnctl",
    },
  );
}

/** What somebody is told who may not do that, with the commands that help. */
export function refusal(
  command: string,
  { access, groupName }: { access: Guard["access"]; groupName: string | undefined },
): VpnError {
  const what =
    access === "read" ? `you may look, but not ${command}: that is for` : "you may not use vpnd: it is for";
  if (groupName === undefined) {
    return new VpnError("not-permitted", `${what} root`, { hint: "run the same command with sudo" });
  }
  return new VpnError("not-permitted", `${what} root and members of group ${groupName}`, {
    hint: `run the same command with sudo; or join the group: sudo usermod -aG ${groupName} "$USER" and log in again`,
  });
}

function stripped(body: Body): Body {
  return (request, context) => {
    const result = body(request, context);
    return Symbol.asyncIterator in result ? eachStripped(result) : result.then(withoutFingerprints);
  };
}

async function* eachStripped(messages: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  for await (const message of messages) yield withoutFingerprints(message);
}

/** One line for each change, whether it worked or not: who, what, on which network. Never what else the request holds. */
function audited(command: string, body: Body, guard: Guard): Body {
  return (request, context) => {
    const { uid, gid, pid } = guard.caller(context.peer) ?? {};
    const note = (outcome: string, answer?: unknown): void => {
      if (isDryRun(request)) return;
      const network = networkOfChange(request, answer);
      guard.log.info({ audit: true, uid, gid, pid, command, network, outcome }, "audit");
    };
    const result = body(request, context);
    if (Symbol.asyncIterator in result) return eachThenNote(result, note);
    return result.then(
      (answer) => {
        note("ok", answer);
        return answer;
      },
      (error: unknown) => {
        note(codeOf(error));
        throw error;
      },
    );
  };
}

const codeOf = (error: unknown): string => (error instanceof VpnError ? error.code : "internal");

async function* eachThenNote(
  messages: AsyncIterable<unknown>,
  note: (outcome: string) => void,
): AsyncGenerator<unknown> {
  let outcome = "cancelled";
  try {
    yield* messages;
    outcome = "ok";
  } catch (error) {
    outcome = codeOf(error);
    throw error;
  } finally {
    note(outcome);
  }
}
