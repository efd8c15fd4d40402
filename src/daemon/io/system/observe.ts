import type { ConnectedRoute } from "../../core/system/footprint.js";
import type { Item, Link, Machine, Rule, Step } from "../../core/system/items.js";
import { protocolOf, refusalKey, routeKey, ruleKey } from "../../core/system/keys.js";
import { touchedBy } from "../../core/system/touched.js";
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
  if (link.persistent && !link.up) {
    // Only this view has it, and only of such devices it is asked.
    const [detail] = list(await executor.readIp(["-d", "link", "show", "dev", name]));
    if (typeof detail?.inet6_addr_gen_mode === "string") link.addrGenMode = detail.inet6_addr_gen_mode;
  }
  return link;
}

/** What is needed to know of the machine to plan these items, or to take these steps back. */
export async function observe(executor: Executor, things: readonly (Item | Step)[]): Promise<Machine> {
  const touched = touchedBy(things);
  const links = new Map<string, Link>();
  for (const name of touched.devices) {
    const link = await readLink(executor, name);
    if (link) links.set(name, link);
  }
  const sysctls = new Map<string, string>();
  for (const key of touched.sysctls) {
    const value = await executor.readSysctl(key);
    if (value !== undefined) sysctls.set(key, value);
  }
  const routes = new Set<string>();
  for (const { device, table, family } of touched.tables) {
    if (!links.has(device)) continue;
    const found = await executor.readIp([`-${family}`, "route", "show", "table", table, "dev", device]);
    for (const route of list(found)) routes.add(routeKey({ prefix: prefixOf(route, family), device, table }));
  }
  const refusals = new Set<string>();
  for (const { table, family } of touched.refusals) {
    const shown = await executor.readIp([
      `-${family}`,
      "route",
      "show",
      "table",
      table,
      "type",
      "unreachable",
    ]);
    for (const route of list(shown)) {
      const metric = typeof route.metric === "number" ? route.metric : 0;
      refusals.add(refusalKey({ prefix: prefixOf(route, family), table, metric }));
    }
  }
  const files = new Map<string, string>();
  for (const path of touched.files) {
    const text = await executor.readText(path);
    if (text !== undefined) files.set(path, text);
  }
  const rules = new Set<string>();
  for (const family of touched.rules) {
    for (const rule of list(await executor.readIp([`-${family}`, "rule", "show"]))) {
      const read = readRule(rule, family);
      if (read) rules.add(ruleKey(read));
    }
  }
  const nftTables = new Set(touched.nft ? await executor.nftTables() : []);
  const machine: Machine = { links, sysctls, routes, rules, refusals, files, nftTables };
  if (touched.resolver === undefined) return machine;
  const present = touched.resolver.filter((device) => links.has(device));
  return { ...machine, resolver: await executor.readResolver(present) };
}

const prefixOf = (route: Json, family: 4 | 6): string =>
  route.dst === "default" && family === 6 ? "::/0" : String(route.dst);

/** Undefined: it says more than rules of ours do. */
function readRule(json: Json, family: 4 | 6): Rule | undefined {
  const { priority, src, srclen, dst, dstlen, table, fwmark, not, ipproto, sport, dport, ...rest } = json;
  const { suppress_prefixlen: suppressed, sport_mask: sportMask, dport_mask: dportMask, ...more } = rest;
  if (typeof priority !== "number" || typeof table !== "string" || Object.keys(more).length > 0)
    return undefined;
  // Newer versions of `ip` say that the whole port is meant.
  if ([sportMask, dportMask].some((mask) => mask !== undefined && mask !== "0xffff")) return undefined;
  const rule: Rule = { family, priority, table };
  const prefix = (base: string, length: unknown) => (typeof length === "number" ? `${base}/${length}` : base);
  if (typeof src === "string" && src !== "all") rule.from = prefix(src, srclen);
  if (typeof dst === "string" && dst !== "all") rule.to = prefix(dst, dstlen);
  if (typeof fwmark === "string") rule.fwmark = Number(fwmark);
  if (not !== undefined) rule.not = true;
  const protocol = protocolOf(ipproto);
  if (protocol !== undefined) rule.protocol = protocol;
  else if (ipproto !== undefined) return undefined;
  if (typeof sport === "number") rule.sourcePort = sport;
  if (typeof dport === "number") rule.port = dport;
  if (suppressed === 0) rule.withoutDefault = true;
  else if (suppressed !== undefined) return undefined;
  return rule;
}

/** Routes that the kernel made of these devices' addresses; its host, broadcast and multicast entries left out. */
export async function readConnectedRoutes(
  executor: Executor,
  devices: readonly string[],
): Promise<ConnectedRoute[]> {
  const found: ConnectedRoute[] = [];
  for (const device of devices) {
    for (const family of ["-4", "-6"]) {
      const shown = await executor.readIp([family, "route", "show", "table", "main", "dev", device]);
      for (const route of list(shown)) {
        if (route.protocol === "kernel") found.push({ device, prefix: String(route.dst) });
      }
    }
  }
  return found;
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
