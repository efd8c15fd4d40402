/** What a user's quota may be for; in UTC. */
export const quotaPeriods = ["day", "month"] as const;
export type QuotaPeriod = (typeof quotaPeriods)[number];

export const isQuotaPeriod = (text: string): text is QuotaPeriod =>
  quotaPeriods.some((period) => period === text);
