/**
 * Whom this machine asks for names: systemd-resolved by device, or /etc/resolv.conf. The latter is replaced only when a network
 * is to answer for everything, and comes back exactly as it was, unless somebody else changed it since.
 */
import { VpnError } from "../../../common/errors.js";
import type { Machine } from "./items.js";
import type { LinkDns, ResolvConf, ResolverAction, ResolverItem, ResolverStep } from "./resolver-items.js";

const path = "/etc/resolv.conf";

/** @throws VpnError `failed` when this machine's resolver cannot be told */
export function planResolver(item: ResolverItem, machine: Machine): ResolverStep[] {
  const { resolver } = machine;
  if (resolver === undefined) throw new VpnError("internal", "the resolver was not looked at");
  if (resolver.resolved) {
    const link = machine.links.get(item.device);
    if (link === undefined) throw new VpnError("failed", `device ${item.device} does not exist`);
    const routed = item.domains.map((domain) => `~${domain}`);
    const settings: LinkDns = {
      servers: item.servers,
      domains: item.everything ? [...routed, "~."] : routed,
      defaultRoute: item.everything,
    };
    const before = resolver.links.get(item.device) ?? noDns;
    if (sameDns(before, settings)) return [];
    return [{ kind: "set-link-dns", device: item.device, ifindex: link.ifindex, settings, before }];
  }
  if (!item.everything || resolver.text === item.resolvConf) return [];
  if (resolver.obstacle !== undefined) {
    throw new VpnError("failed", `cannot set ${path}: ${resolver.obstacle}`, {
      hint: `leave names alone with --no-dns, or name the servers yourself: ${item.servers.join(", ")}`,
    });
  }
  const { file: before, inPlace } = resolver;
  return [{ kind: "replace-resolv-conf", text: item.resolvConf, before, inPlace }];
}

export function applyResolver(step: ResolverStep): ResolverAction[] {
  if (step.kind === "set-link-dns") return settingActions(step.device, step.settings);
  const content: ResolvConf = { type: "file", text: step.text, mode: 0o644, uid: 0, gid: 0 };
  return [{ type: "resolv-conf", content, inPlace: step.inPlace }];
}

/** What others changed since is left alone. */
export function undoResolver(step: ResolverStep, machine: Machine): ResolverAction[] {
  if (step.kind === "set-link-dns") {
    const link = machine.links.get(step.device);
    const now = machine.resolver?.links.get(step.device);
    // The servers are set first, so they tell whether the rest may be ours.
    const ours = now !== undefined && sameList(now.servers, step.settings.servers);
    if (!ours || link?.ifindex !== step.ifindex) return [];
    const revert: ResolverAction = { type: "resolvectl", args: ["revert", step.device] };
    return sameDns(step.before, noDns) ? [revert] : [revert, ...settingActions(step.device, step.before)];
  }
  if (!isOurs(step, machine)) return [];
  return [{ type: "resolv-conf", content: step.before, inPlace: step.inPlace }];
}

export function resolverInForce(step: ResolverStep, machine: Machine): boolean {
  if (step.kind === "replace-resolv-conf") return machine.resolver?.text === step.text;
  const now = machine.resolver?.links.get(step.device);
  return now !== undefined && sameDns(now, step.settings);
}

export function describeResolver(step: ResolverStep): string {
  if (step.kind === "set-link-dns") {
    const { servers, domains } = step.settings;
    return `tell systemd-resolved of ${step.device}: ask ${servers.join(", ")} for ${domainsText(domains)}`;
  }
  return `replace ${path}: ask ${nameservers(step.text)} for all names`;
}

export function describeResolverUndo(step: ResolverStep): string {
  return step.kind === "set-link-dns"
    ? `take the DNS settings of ${step.device} back from systemd-resolved`
    : `put ${path} back`;
}

export function resolverTrace(step: ResolverStep): { name: string; detail: string } {
  if (step.kind === "replace-resolv-conf")
    return { name: path, detail: `nameserver ${nameservers(step.text)}` };
  const { servers, domains } = step.settings;
  return {
    name: "systemd-resolved",
    detail: `dev ${step.device}, ${servers.join(", ")} for ${domainsText(domains)}`,
  };
}

const noDns: LinkDns = { servers: [], domains: [], defaultRoute: false };

const sameList = (a: readonly string[], b: readonly string[]): boolean => a.join() === b.join();

function sameDns(a: LinkDns, b: LinkDns): boolean {
  return (
    sameList(a.servers, b.servers) && sameList(a.domains, b.domains) && a.defaultRoute === b.defaultRoute
  );
}

/** Names of networks are signed by nobody, and our responder speaks no TLS. */
function settingActions(device: string, { servers, domains, defaultRoute }: LinkDns): ResolverAction[] {
  const set = (verb: string, values: readonly string[]): ResolverAction => ({
    type: "resolvectl",
    args: [verb, device, ...(values.length === 0 ? [""] : values)],
  });
  return [
    set("dns", servers),
    set("dnssec", ["no"]),
    set("dnsovertls", ["no"]),
    set("default-route", [defaultRoute ? "yes" : "no"]),
    set("domain", domains),
  ];
}

/** Written in place, a killed vpnd may have left its text with the rest of the former one behind it. */
function isOurs(step: { text: string; before: ResolvConf; inPlace: boolean }, machine: Machine): boolean {
  const now = machine.resolver?.text;
  if (now === step.text) return true;
  return (
    step.inPlace &&
    step.before.type === "file" &&
    now === step.text + step.before.text.slice(step.text.length)
  );
}

function domainsText(domains: readonly string[]): string {
  if (domains.includes("~.")) return "all names";
  return domains.map((domain) => domain.replace(/^~/, "")).join(", ");
}

const nameservers = (text: string): string =>
  [...text.matchAll(/^nameserver (\S+)$/gm)].map((match) => match[1]).join(", ");
