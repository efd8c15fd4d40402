/** Who is called what in one network: names for addresses and back. */

/** A node that may have a name. */
export interface Named {
  virtualIp: string;
  name?: string;
  /** Milliseconds since 1970 of the first meeting; absent: its key is not known. */
  pinnedSince?: number;
}

export interface NameTable {
  /** DNS label, in lower case, to virtual IP. */
  addresses: ReadonlyMap<string, string>;
  /** Virtual IP to DNS label. */
  names: ReadonlyMap<string, string>;
}

const longestLabel = 63;

/**
 * Every named node gets a label of its own. This node's name is its own here; of several peers with one name the one that was
 * met first has it, and the next ones are NAME-2, NAME-3 and so on.
 */
export function makeNameTable(self: Named, peers: readonly Named[]): NameTable {
  const addresses = new Map<string, string>();
  const names = new Map<string, string>();
  const give = (label: string, virtualIp: string): void => {
    addresses.set(label, virtualIp);
    names.set(virtualIp, label);
  };
  const wanted = [self, ...[...peers].sort(byMeeting)].flatMap(({ name, virtualIp }) => {
    const label = labelOf(name ?? "");
    return label === undefined ? [] : [{ label, virtualIp }];
  });
  // A name as it was given goes before one that was made up for a namesake.
  const namesakes: typeof wanted = [];
  for (const one of wanted) {
    if (names.has(one.virtualIp)) continue;
    if (addresses.has(one.label)) namesakes.push(one);
    else give(one.label, one.virtualIp);
  }
  const tried = new Map<string, number>();
  for (const { label, virtualIp } of namesakes) {
    if (names.has(virtualIp)) continue;
    let number = tried.get(label) ?? 2;
    while (addresses.has(numbered(label, number))) number += 1;
    tried.set(label, number + 1);
    give(numbered(label, number), virtualIp);
  }
  return { addresses, names };
}

/** A DNS label out of a name, whatever that holds; undefined when nothing is left of it. */
export function labelOf(name: string): string | undefined {
  const label = name
    .slice(0, 4 * longestLabel)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .slice(0, longestLabel)
    .replace(/^-+|-+$/g, "");
  return label === "" ? undefined : label;
}

function numbered(label: string, number: number): string {
  const suffix = `-${number}`;
  return `${label.slice(0, longestLabel - suffix.length).replace(/-+$/, "")}${suffix}`;
}

function byMeeting(a: Named, b: Named): number {
  const [first, second] = [
    a.pinnedSince ?? Number.POSITIVE_INFINITY,
    b.pinnedSince ?? Number.POSITIVE_INFINITY,
  ];
  if (first !== second) return first < second ? -1 : 1;
  return a.virtualIp < b.virtualIp ? -1 : 1;
}
