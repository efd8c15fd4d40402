/** Whether a series of samples grows: what leaks rises all the time, what breathes does not. */

export interface Sample {
  /** Time, in any unit. */
  at: number;
  value: number;
}

/**
 * How much the trend rises from the first sample to the last; negative when it falls. The trend is the median of the slopes of all
 * pairs (Theil and Sen), which a minority of outliers does not move. 0 for fewer than two moments.
 */
export function growth(samples: readonly Sample[]): number {
  const slopes: number[] = [];
  for (const [index, a] of samples.entries()) {
    for (const b of samples.slice(index + 1)) {
      if (b.at !== a.at) slopes.push((b.value - a.value) / (b.at - a.at));
    }
  }
  const sorted = slopes.sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const [low, high] = [sorted[half - 1], sorted[half]];
  if (high === undefined) return 0;
  const slope = sorted.length % 2 === 1 || low === undefined ? high : (low + high) / 2;
  const times = samples.map((sample) => sample.at);
  return slope * (Math.max(...times) - Math.min(...times));
}

/** Without the first third, in which caches fill and compilers compile. */
export function settled(samples: readonly Sample[]): Sample[] {
  const first = samples[0]?.at ?? 0;
  const last = samples.at(-1)?.at ?? 0;
  return samples.filter((sample) => sample.at >= first + (last - first) / 3);
}
