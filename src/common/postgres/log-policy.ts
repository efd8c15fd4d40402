/**
 * Which packets' payloads a network over PostgreSQL keeps: of every Nth one, 1 for all, 0 for none. Headers are always kept
 * (docs/postgres.md, "What is kept").
 */
export type LogPolicy = number;

const mostEvery = 999_999;

/** "full", "headers" or "sample=N"; undefined: it is none of these. */
export function parseLogPolicy(text: string): LogPolicy | undefined {
  if (text === "full") return 1;
  if (text === "headers") return 0;
  const every = /^sample=([1-9]\d{0,5})$/.exec(text)?.[1];
  return every === undefined || Number(every) > mostEvery ? undefined : Number(every);
}

/** In one form, as the database has it. */
export function formatLogPolicy(policy: LogPolicy): string {
  if (policy === 0) return "headers";
  return policy === 1 ? "full" : `sample=${policy}`;
}
