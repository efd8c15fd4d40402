/** What the user decided about this node as an exit node of a network. Kept as JSON with the network's routes. */

/** A peer whose traffic is carried. The node key is what counts; the rest is for people. */
export interface Client {
  nodeKey: string;
  virtualIp: string;
  name?: string;
}

export interface ExitOffer {
  /** Whose traffic is carried; absent: any peer's. Never empty. */
  to?: readonly Client[];
  /** Clients may connect to this machine itself too. */
  allowHost: boolean;
}

/** As it is kept on disk. @throws Error for what is no offer */
export function readExitOffer(
  value: unknown,
  readWhom: (value: unknown) => Client | "all",
): ExitOffer | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value === null) throw new Error("its exit offer is no object");
  const { to, allowHost } = value as { to?: unknown; allowHost?: unknown };
  if (typeof allowHost !== "boolean") throw new Error("its exit offer lacks fields");
  if (to === undefined) return { allowHost };
  if (!Array.isArray(to)) throw new Error("its exit offer lacks fields");
  const clients = to.map(readWhom).flatMap((whom) => (whom === "all" ? [] : [whom]));
  if (clients.length !== to.length || clients.length === 0) throw new Error("its exit offer is for nobody");
  return { to: clients, allowHost };
}

/** Without a client whose key was forgotten; undefined: nobody is left. */
export function offerWithout(offer: ExitOffer, nodeKey: string): ExitOffer | undefined {
  if (offer.to === undefined) return offer;
  const to = offer.to.filter((client) => client.nodeKey !== nodeKey);
  if (to.length === offer.to.length) return offer;
  return to.length === 0 ? undefined : { ...offer, to };
}

/** Whether a peer may send through this node. */
export function admits(offer: ExitOffer, nodeKey: string): boolean {
  return offer.to === undefined || offer.to.some((client) => client.nodeKey === nodeKey);
}
