/** The network that a change is about: the one asked for, else the one(s) that the answer names. */
export function networkOfChange(request: unknown, answer: unknown): string | undefined {
  return nameIn(request) ?? nameIn(answer);
}

function nameIn(message: unknown): string | undefined {
  if (!isObject(message)) return undefined;
  const { network, networks, query } = message;
  if (isObject(query)) return nameIn(query);
  if (typeof network === "string" && network !== "") return network;
  if (isObject(network) && typeof network.name === "string") return network.name;
  if (!Array.isArray(networks) || networks.length === 0) return undefined;
  return networks.filter((one) => typeof one === "string").join(",") || undefined;
}

/** Whether the request only asks what would be done. */
export function isDryRun(request: unknown): boolean {
  return isObject(request) && request.dryRun === true;
}

const hidden = new Set(["pskFingerprint"]);

/**
 * The answer as those see it who may only look: without the fingerprints of keys, by which guesses at a weak key can be
 * checked.
 */
export function withoutFingerprints<T>(value: T): T {
  return strip(value) as T;
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (!isObject(value) || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => (hidden.has(key) ? [] : [[key, strip(member)]])),
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;
