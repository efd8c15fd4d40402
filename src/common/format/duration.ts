const unitSeconds: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };
const longestSeconds = 10 * 365 * 86_400;

/** Seconds of "500ms", "15s", "1m30s", "2h", "1d", or of a bare number of seconds; undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return bounded(Number(text));
  if (text.length > 32 || !/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    seconds += Number(amount) * (unitSeconds[unit ?? ""] ?? Number.NaN);
  }
  return bounded(seconds);
}

function bounded(seconds: number): number | undefined {
  return Number.isFinite(seconds) && seconds <= longestSeconds ? seconds : undefined;
}

/** Two units at most: "45s", "1m 3s", "2h 5m", "3d 4h". @param seconds of any sign; negative is "0s" */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const days = Math.floor(whole / 86_400);
  const hours = Math.floor(whole / 3600) % 24;
  const minutes = Math.floor(whole / 60) % 60;
  if (days > 0) return pair(days, "d", hours, "h");
  if (hours > 0) return pair(hours, "h", minutes, "m");
  if (minutes > 0) return pair(minutes, "m", whole % 60, "s");
  return `${whole}s`;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit} ${small}${smallUnit}`;
}

/** A round trip in milliseconds with three digits: "0.31 ms", "12.3 ms", "250 ms". @param seconds not negative */
export function formatRtt(seconds: number): string {
  const ms = seconds * 1000;
  return `${ms.toFixed(ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0)} ms`;
}
