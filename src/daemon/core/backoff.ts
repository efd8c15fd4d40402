/** Waiting times between attempts: doubling, bounded, with jitter so that nodes do not march in step. */
export interface BackoffRule {
  firstMs: number;
  maxMs: number;
}

/**
 * @param failures attempts that failed in a row, at least 1
 * @param random 0 <= random < 1
 * @returns milliseconds, up to a quarter more or less than the plain doubling
 */
export function backoffMs(rule: BackoffRule, failures: number, random: number): number {
  const plain = Math.min(rule.maxMs, rule.firstMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(Math.min(rule.maxMs, plain * (0.75 + random / 2)));
}
