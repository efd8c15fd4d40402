const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const factors: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  K: 1024,
  KIB: 1024,
  M: 1024 ** 2,
  MIB: 1024 ** 2,
  G: 1024 ** 3,
  GIB: 1024 ** 3,
  T: 1024 ** 4,
  TIB: 1024 ** 4,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

/** Three significant digits with a binary unit: "900 B", "1.20 MiB". @param bytes not negative */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 999.5 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  if (unit === 0) return `${Math.round(amount)} B`;
  return `${amount.toFixed(amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0)} ${units[unit]}`;
}

/** As formatBytes, a second: "1.20 MiB/s". */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** Bytes of "512", "64K", "10MiB" or "1GB" (decimal); undefined if it is none. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s?([A-Za-z]{0,3})$/.exec(text);
  const factor = factors[(match?.[2] ?? "?").toUpperCase()];
  if (match === null || factor === undefined) return undefined;
  const bytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
