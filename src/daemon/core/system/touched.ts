import type { Item, Step } from "./items.js";

/** What must be looked at before items are planned, or steps are taken back. */
export interface Touched {
  devices: string[];
  sysctls: string[];
  /** Routing tables with a route of ours, by device. */
  tables: { device: string; table: string; family: 4 | 6 }[];
  /** Routing tables with a refusal of ours. */
  refusals: { table: string; family: 4 | 6 }[];
  files: string[];
  /** Families with a rule of ours. */
  rules: (4 | 6)[];
  nft: boolean;
  /** Devices whose DNS settings to look at; undefined: the resolver is of no interest. */
  resolver?: string[];
}

export function touchedBy(things: readonly (Item | Step)[]): Touched {
  const devices = new Set<string>();
  const sysctls = new Set<string>();
  const rules = new Set<4 | 6>();
  const tables = new Map<string, Touched["tables"][number]>();
  const refusals = new Map<string, Touched["refusals"][number]>();
  const files = new Set<string>();
  let nft = false;
  let resolver: string[] | undefined;
  for (const thing of things) {
    switch (thing.kind) {
      case "tun":
      case "existing-tun":
      case "create-tun":
      case "attach-tun":
        devices.add(thing.name);
        break;
      case "sysctl":
      case "set-sysctl":
        sysctls.add(thing.key);
        break;
      case "rule":
      case "add-rule":
        rules.add(thing.rule.family);
        break;
      case "file":
      case "write-file":
        files.add(thing.path);
        break;
      case "refusal":
      case "add-refusal": {
        const family = thing.prefix.includes(":") ? 6 : 4;
        refusals.set(`${thing.table} ${family}`, { table: thing.table, family });
        break;
      }
      case "nft-table":
      case "add-nft-table":
        nft = true;
        break;
      case "route":
      case "add-route": {
        devices.add(thing.device);
        const table = thing.table ?? "main";
        const family = thing.prefix.includes(":") ? 6 : 4;
        tables.set(`${thing.device} ${table} ${family}`, { device: thing.device, table, family });
        break;
      }
      case "resolver":
      case "set-link-dns":
        devices.add(thing.device);
        resolver = [...(resolver ?? []), thing.device];
        break;
      case "replace-resolv-conf":
        resolver ??= [];
        break;
      default:
        devices.add(thing.device);
    }
  }
  return {
    devices: [...devices],
    sysctls: [...sysctls],
    tables: [...tables.values()],
    refusals: [...refusals.values()],
    files: [...files],
    rules: [...rules],
    nft,
    ...(resolver !== undefined && { resolver }),
  };
}
