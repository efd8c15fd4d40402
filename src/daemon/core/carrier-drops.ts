/**
 * Why carriers written in TypeScript leave packets or connections out, besides what their packet ports count. Each is
 * explained in docs/metrics.md.
 */
export const carrierDrops = [
  "not-connected",
  // Links over TCP.
  "too-big-for-frame",
  "second-connection",
  "too-many-connections",
  // Networks over PostgreSQL.
  "no-such-peer",
  "malformed-row",
  "foreign-source",
  "foreign-destination",
  "wrong-psk",
  "altered-row",
  "stale",
] as const;

export type CarrierDrop = (typeof carrierDrops)[number];
