/** Channels of LISTEN and NOTIFY. Anybody who may log in may use them, so what is heard there is a hint and no more. */

/** Where nodes of a network hear that one came or went. */
export const networkChannel = (network: number): string => `vpnd_network_${network}`;

/** Where a node hears that a session has something for it. */
export const nodeChannel = (node: number): string => `vpnd_node_${node}`;

export const wakeText = (session: bigint): string => String(session);

/** The session; undefined: it was not one of us. */
export function parseWake(payload: string): bigint | undefined {
  return /^\d{1,18}$/.test(payload) ? BigInt(payload) : undefined;
}
