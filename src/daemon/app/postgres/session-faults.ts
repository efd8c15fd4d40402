/** Why a session with the database ends, or none begins. */
import { setTimeout as delay } from "node:timers/promises";
import { VpnError } from "../../../common/errors.js";
import { type Fault, faultOf } from "../../../common/postgres/faults.js";
import { DatabaseError } from "../../../common/postgres/wire-connection.js";

/** How long an answer of the database may take, milliseconds. */
export const answerMs = 10_000;

/** It cannot go on, or not begin. */
export class SessionFault extends Error {
  override readonly name = "SessionFault";

  constructor(readonly fault: Fault) {
    super(fault.message);
  }
}

/** No fault: the next session is to be opened at once. */
export const renewed: Fault = { code: "renewed", message: "what is kept of packets changes", lasting: false };
export const replaced: Fault = { code: "replaced", message: "another vpnd is this node now", lasting: false };
export const silent: Fault = {
  code: "silent",
  message: "the database does not answer any more",
  lasting: false,
};

/** @throws SessionFault after `answerMs` */
export async function inTime<T>(work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = delay(answerMs, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new SessionFault(silent);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    work.catch(() => {});
  }
}

export function faultFrom(error: unknown): Fault {
  if (error instanceof SessionFault) return error.fault;
  if (error instanceof DatabaseError) return faultOf(error.refusal);
  const { message, hint } = VpnError.from(error);
  return { code: "unreachable", message, lasting: false, ...(hint !== undefined && { hint }) };
}
