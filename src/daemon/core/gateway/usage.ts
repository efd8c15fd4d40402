/** How much of their quotas users have used. Times are milliseconds since 1970. */
import { z } from "zod";
import type { QuotaPeriod } from "./quota-period.js";
import type { GatewayUser } from "./users.js";

const fileSchema = z.strictObject({
  version: z.literal(1),
  /** By user: bytes both ways, since the period that began then; 0: since ever. */
  usage: z.record(z.string(), z.strictObject({ from: z.number(), bytes: z.number().min(0) })),
});

export class Usage {
  readonly #usage: Map<string, { from: number; bytes: number }>;

  /** @param text what `format` gave; what makes no sense counts as nothing used */
  constructor(text = "") {
    this.#usage = new Map(Object.entries(parsed(text)));
  }

  /** Adds what one of the user's clients moved. */
  spend({ name, quota, quotaPeriod }: GatewayUser, bytes: number, now: number): void {
    if (quota === undefined) return;
    const from = periodStart(quotaPeriod, now);
    const before = this.#usage.get(name);
    this.#usage.set(name, { from, bytes: (before?.from === from ? before.bytes : 0) + bytes });
  }

  /** Bytes in this period. */
  used({ name, quotaPeriod }: GatewayUser, now: number): number {
    const usage = this.#usage.get(name);
    return usage?.from === periodStart(quotaPeriod, now) ? usage.bytes : 0;
  }

  /** Bytes until the period ends; undefined: as many as they like. */
  left(user: GatewayUser, now: number): number | undefined {
    return user.quota === undefined ? undefined : Math.max(0, user.quota - this.used(user, now));
  }

  /** Another user of the same name begins anew. */
  forget(name: string): void {
    this.#usage.delete(name);
  }

  format(): string {
    return `${JSON.stringify({ version: 1, usage: Object.fromEntries(this.#usage) }, undefined, 1)}\n`;
  }
}

function periodStart(period: QuotaPeriod | undefined, now: number): number {
  if (period === undefined) return 0;
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), period === "day" ? date.getUTCDate() : 1);
}

function parsed(text: string): z.infer<typeof fileSchema>["usage"] {
  try {
    return fileSchema.parse(JSON.parse(text)).usage;
  } catch {
    return {};
  }
}
