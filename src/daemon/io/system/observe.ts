import type { Item, Link, Machine, Step } from "../../core/system/items.js";
import { touched } from "../../core/system/undo.js";
import type { Executor } from "./executor.js";

type Json = Record<string, unknown>;

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null;
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isJson) : []);

/** One link with its addresses; undefined when there is none of this name. */
export async function readLink(executor: Executor, name: string): Promise<Link | undefined> {
  const [json] = list(await executor.readIp(["-d", "addr", "show", "dev", name]));
  if (!json || typeof json.ifindex !== "number" || typeof json.mtu !== "number") return undefined;
  const info = isJson(json.linkinfo) ? json.linkinfo : {};
  const data = isJson(info.info_data) ? info.info_data : {};
  const link: Link = {
    name,
    ifindex: json.ifindex,
    mtu: json.mtu,
    up: Array.isArray(json.flags) && json.flags.includes("UP"),
    type: typeof info.info_kind === "string" ? info.info_kind : "",
    addresses: list(json.addr_info)
      .filter((address) => address.scope !== "link")
      .map((address) => `${String(address.local)}/${String(address.prefixlen)}`),
  };
  if (typeof data.type === "string") link.tunMode = data.type;
  if (typeof data.persist === "boolean") link.persistent = data.persist;
  return link;
}

/** What is needed to know of the machine to plan these items. */
export function observeForItems(executor: Executor, items: readonly Item[]): Promise<Machine> {
  const devices = new Set<string>();
  const sysctls = new Set<string>();
  for (const item of items) {
    if (item.kind === "tun" || item.kind === "existing-tun") devices.add(item.name);
    else if (item.kind === "sysctl") sysctls.add(item.key);
    else if (item.kind !== "nft-table") devices.add(item.device);
  }
  const nft = items.some((item) => item.kind === "nft-table");
  return observe(executor, [...devices], [...sysctls], nft);
}

/** What is needed to know of the machine to take these steps back. */
export function observeForSteps(executor: Executor, steps: readonly Step[]): Promise<Machine> {
  const { devices, sysctls } = touched(steps);
  const nft = steps.some((step) => step.kind === "add-nft-table");
  return observe(executor, devices, sysctls, nft);
}

async function observe(
  executor: Executor,
  devices: readonly string[],
  sysctlKeys: readonly string[],
  nft: boolean,
): Promise<Machine> {
  const links = new Map<string, Link>();
  for (const name of devices) {
    const link = await readLink(executor, name);
    if (link) links.set(name, link);
  }
  const sysctls = new Map<string, string>();
  for (const key of sysctlKeys) {
    const value = await executor.readSysctl(key);
    if (value !== undefined) sysctls.set(key, value);
  }
  return { links, sysctls, nftTables: new Set(nft ? await executor.nftTables() : []) };
}

/** A prefix that the machine uses, and how to say so. */
export interface LocalPrefix {
  /** CIDR. */
  prefix: string;
  device: string;
  what: string;
}

/** Prefixes of local addresses and of routes in the main table; default routes are left out. */
export async function readLocalPrefixes(executor: Executor): Promise<LocalPrefix[]> {
  const found: LocalPrefix[] = [];
  for (const link of list(await executor.readIp(["addr", "show"]))) {
    const device = String(link.ifname);
    for (const address of list(link.addr_info)) {
      const prefix = `${String(address.local)}/${String(address.prefixlen)}`;
      found.push({ prefix, device, what: `address ${prefix} of ${device}` });
    }
  }
  for (const family of ["-4", "-6"]) {
    for (const route of list(await executor.readIp([family, "route", "show", "table", "main"]))) {
      const to = String(route.dst);
      if (to === "default") continue;
      const prefix = to.includes("/") ? to : `${to}/${family === "-4" ? 32 : 128}`;
      const device = typeof route.dev === "string" ? route.dev : "";
      found.push({ prefix, device, what: `route ${to}${device === "" ? "" : ` over ${device}`}` });
    }
  }
  return found;
}
