const blocks = "▁▂▃▄▅▆▇█";

/** One block character for each value, the largest at full height; all zero is a flat line. */
export function sparkline(values: readonly number[]): string {
  const largest = Math.max(0, ...values);
  return values.map((value) => blocks[height(value, largest)] ?? "").join("");
}

function height(value: number, largest: number): number {
  if (largest === 0 || value <= 0) return 0;
  return Math.min(blocks.length - 1, Math.floor((value / largest) * blocks.length));
}
