/** Policy routing of a machine whose traffic goes through an exit node: numbers that `ip rule` and `ip route` show. */

/** The routing table of what goes through the exit node. */
export const exitTable = "5676";
/** Its name for `ip route show table vpnd`. */
export const exitTableName = "vpnd";

/** In this order; foreign rules before them win, as Tailscale's (5210 to 5270) do. */
export const priority = {
  /** Addresses behind tunnels of ours. */
  tunnels: 5600,
  /** DHCP of clients, by its ports. */
  dhcp: 5605,
  /** Look-ups in the LAN: resolvers there ask others outside. */
  lanNames: 5610,
  lan: 5615,
  /** Everything but vpnd's own packets. */
  everything: 5620,
} as const;

/** Of the route that refuses what no tunnel takes: behind any other default route of the table. */
export const lastResort = 4_278_198_272;
