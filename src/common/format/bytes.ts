const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

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
