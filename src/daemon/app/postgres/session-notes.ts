/** What people should know of how a network uses its database. */
import type { DatabaseSession } from "./database-session.js";

/** @param fast who lets packets be delivered before they are durable */
export function sessionNotes(session: DatabaseSession | undefined, fast: readonly string[]): string[] {
  const clear = session !== undefined && session.cipher === undefined;
  return [
    ...(session?.note === undefined ? [] : [session.note]),
    ...(fast.length === 0
      ? []
      : [`delivered before they are durable (--fast): packets of ${fast.join(", ")}`]),
    ...(clear
      ? ["the way to the database is not encrypted: its server has no TLS, or the URL says sslmode=disable"]
      : []),
  ];
}
