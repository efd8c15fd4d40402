import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Carrier, Reason } from "../../core/carrier.js";
import { makeNameTable } from "../../core/names/name-table.js";
import { resolvConfText } from "../../core/names/resolv-conf.js";
import { topDomain, type Zone } from "../../core/names/respond.js";
import { reverseZones } from "../../core/names/reverse.js";
import { parseVirtualIp } from "../../core/network/cidr.js";
import type { NetworkConfig } from "../../core/network/config.js";
import type { ResolverItem } from "../../core/system/resolver-items.js";
import { Forwarder } from "../../io/names/forwarder.js";
import { NameSockets } from "../../io/names/sockets.js";
import { systemServers } from "../../io/names/system-servers.js";
import type { SystemDoor } from "../../io/system/door.js";
import { Mutex } from "../mutex.js";
import type { Platform } from "../platform.js";
import type { NameZones } from "./name-zones.js";
import { Responder } from "./responder.js";

export interface NamesParts {
  door: SystemDoor;
  platform: Pick<Platform, "makeSocket" | "closeFd">;
  zones: NameZones;
  config: () => NetworkConfig;
  log: Logger;
  onChange: () => void;
}

/** Who asks the responder on this machine. */
export type AskedBy = "systemd-resolved" | "resolv.conf" | "none";

export interface NamesView {
  /** Names are NAME.DOMAIN. */
  domain: string;
  /** This node's own name in it; absent: it has none. */
  ownName?: string;
  /** Virtual IP where questions are answered, port 53. */
  server: string;
  /** `off`: as asked for by `--no-dns`. */
  state: "on" | "off" | "down" | "failed";
  reason?: Reason;
  askedBy: AskedBy;
  /** All names are asked there, through the network. */
  everything: boolean;
}

/** How often the machine's resolver is looked at, and what failed is tried again. */
const lookMs = 10_000;
const upstreamMs = 5_000;

/** Names of one network: the responder on its virtual IP, and who on this machine asks it. */
export class NetworkNames {
  readonly #parts: NamesParts;
  readonly #mutex = new Mutex();
  readonly #responder: Responder;
  #carrier: Carrier | undefined;
  #timer: NodeJS.Timeout | undefined;
  #forwarder: Forwarder;
  #sockets: NameSockets | undefined;
  /** As long as no peer changes. */
  #known: Zone | undefined;
  #through: readonly string[] = [];
  #serves: ((source: string) => boolean) | undefined;
  #upstream: { servers: string[]; at: number } | undefined;
  /** What the machine's resolver was told. */
  #told: ResolverItem | undefined;
  #askedBy: AskedBy = "none";
  #failure: VpnError | undefined;

  constructor(parts: NamesParts) {
    this.#parts = parts;
    this.#forwarder = this.#makeForwarder();
    this.#responder = new Responder({
      zone: () => this.#zone(),
      zones: () => parts.zones.all(),
      forwarder: { ask: (...args) => this.#forwarder.ask(...args) },
      through: () => this.#through,
      serves: (source) => this.#serves?.(source) ?? false,
      upstream: () => this.#upstreamServers(),
      now: () => performance.now(),
    });
  }

  /** Questions since the network is known, by what became of them. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#responder.counts);
  }

  /** The network runs; nobody waits for its names. */
  start(carrier: Carrier): void {
    const { config, zones } = this.#parts;
    if (config().asked.noDns === true) return;
    this.#carrier = carrier;
    this.#known = undefined;
    this.#forwarder = this.#makeForwarder();
    if (this.possible) zones.set(config().name, () => this.#zone());
    this.#timer = setInterval(() => this.#inBackground(() => this.#look()), lookMs);
    this.#timer.unref();
    this.#inBackground(() => this.#sync());
  }

  /** Before the network's own changes to the machine are taken back. Never throws. */
  async stop(): Promise<void> {
    await this.#close();
    this.#through = [];
    this.#serves = undefined;
  }

  /** The network's settings changed while it runs. */
  async renew(carrier: Carrier | undefined): Promise<void> {
    await this.#close();
    if (carrier !== undefined) this.start(carrier);
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#carrier = undefined;
    this.#forwarder.stop();
    await this.#mutex.run(async () => {
      const { name } = this.#parts.config();
      this.#parts.zones.delete(name);
      await this.#parts.door.undo(`${name}/dns`);
      await this.#sockets?.close();
      this.#sockets = undefined;
      this.#told = undefined;
      this.#askedBy = "none";
      this.#failure = undefined;
    });
  }

  /** Peers may have changed. */
  poke(): void {
    this.#known = undefined;
  }

  /** Peers that may ask this node for everything, which it asks this machine's servers; undefined: none. */
  serve(allowed: ((source: string) => boolean) | undefined): void {
    this.#serves = allowed;
  }

  /**
   * From now on this machine asks these servers, which are reached through the network, for all names that are not a
   * network's; none: whom it asked before. Without effect in a network without names.
   * @throws VpnError when the machine's resolver cannot be told; then all is as before
   */
  through(servers: readonly string[]): Promise<void> {
    return this.#mutex.run(async () => {
      const before = this.#through;
      this.#through = [...servers];
      if (this.#carrier === undefined) return;
      await this.#tellResolver();
      if (this.#failure === undefined || servers.length === 0 || this.#askedBy !== "none") return;
      const error = this.#failure;
      this.#through = before;
      await this.#tellResolver();
      throw error;
    });
  }

  /** Not of a network without an address that was asked for: there are no other nodes. */
  get possible(): boolean {
    return this.#parts.config().asked.virtualIp !== "";
  }

  /** Only if it is `possible`. */
  view(): NamesView {
    const { asked } = this.#parts.config();
    const { domain, virtualIp, table } = this.#zone();
    const label = table.names.get(virtualIp.address);
    const failed = this.#failure && { code: this.#failure.code, message: this.#failure.message };
    const down = this.#sockets === undefined ? "down" : "on";
    return {
      domain,
      ...(label !== undefined && { ownName: `${label}.${domain}` }),
      server: virtualIp.address,
      state: asked.noDns === true ? "off" : failed === undefined ? down : "failed",
      ...(failed !== undefined && { reason: failed }),
      askedBy: this.#askedBy,
      everything: this.#askedBy !== "none" && this.#through.length > 0,
    };
  }

  #zone(): Zone {
    if (this.#carrier !== undefined && this.#known !== undefined) return this.#known;
    const { asked, name, nodeName } = this.#parts.config();
    const virtualIp = parseVirtualIp(asked.virtualIp);
    const self = { virtualIp: virtualIp.address, name: nodeName };
    const table = makeNameTable(self, this.#carrier?.view().peers ?? []);
    this.#known = { domain: `${name}.${topDomain}`, virtualIp, table };
    return this.#known;
  }

  #makeForwarder(): Forwarder {
    const { platform } = this.#parts;
    return new Forwarder({
      make: (options) => platform.makeSocket(options),
      closeFd: (fd) => platform.closeFd(fd),
    });
  }

  #inBackground(work: () => Promise<void>): void {
    void this.#mutex.run(work).catch((error: unknown) => this.#parts.log.error({ err: error }, "names"));
  }

  async #sync(): Promise<void> {
    if (this.#carrier === undefined) return;
    const before = this.#text();
    if (this.possible) await this.#open();
    if (this.#sockets !== undefined || !this.possible) await this.#tellResolver();
    if (this.#text() !== before) this.#parts.onChange();
  }

  /** To tell a change. */
  #text(): string {
    return JSON.stringify([this.#askedBy, this.possible ? this.view() : undefined]);
  }

  async #open(): Promise<void> {
    if (this.#sockets !== undefined) return;
    const { platform, config } = this.#parts;
    const { address, family } = parseVirtualIp(config().asked.virtualIp);
    try {
      this.#sockets = await NameSockets.open({
        make: (options) => platform.makeSocket(options),
        closeFd: (fd) => platform.closeFd(fd),
        address,
        family,
        accepts: (source) => this.#responder.knows(source),
        answer: (question) => this.#responder.answer(question),
      });
      this.#failure = undefined;
    } catch (error) {
      this.#fail(VpnError.from(error, "failed"), "cannot answer names");
    }
  }

  /** Once for each failure, not at each attempt. */
  #fail(error: VpnError, what: string): void {
    if (this.#failure?.message !== error.message) {
      this.#parts.log.warn({ network: this.#parts.config().name, reason: error.message }, what);
    }
    this.#failure = error;
  }

  /** Without sockets of our own the servers are asked directly. */
  #wanted(): ResolverItem | undefined {
    const { device, name } = this.#parts.config();
    const everything = this.#through.length > 0;
    if (this.#sockets === undefined) {
      if (!everything) return undefined;
      const servers = this.#through;
      return {
        kind: "resolver",
        device,
        servers,
        domains: [],
        everything,
        resolvConf: resolvConfText(servers, name),
      };
    }
    const { domain, virtualIp } = this.#zone();
    const servers = [virtualIp.address];
    return {
      kind: "resolver",
      device,
      servers,
      domains: [domain, ...reverseZones(virtualIp)],
      everything,
      resolvConf: resolvConfText(servers, name),
    };
  }

  async #tellResolver(): Promise<void> {
    const wanted = this.#wanted();
    if (JSON.stringify(wanted) === JSON.stringify(this.#told)) return;
    const { door, config } = this.#parts;
    const owner = `${config().name}/dns`;
    this.#upstream = undefined;
    this.#told = wanted;
    try {
      await door.apply(owner, wanted === undefined ? [] : [wanted]);
      if (this.#sockets !== undefined || !this.possible) this.#failure = undefined;
    } catch (error) {
      this.#told = undefined;
      this.#fail(VpnError.from(error, "failed"), "cannot tell this machine's resolver");
    }
    this.#askedBy = askedBy(await door.applied(owner));
  }

  /** systemd-resolved came, somebody else wrote resolv.conf, or what failed works now. */
  async #look(): Promise<void> {
    if (this.#carrier === undefined) return;
    const told = this.#told;
    if (told !== undefined && this.#askedBy !== "systemd-resolved") {
      const { resolved, text } = await this.#parts.door.resolver();
      const rewritten = this.#askedBy === "resolv.conf" && text !== told.resolvConf;
      if (resolved || rewritten) this.#told = undefined;
    }
    await this.#sync();
  }

  async #upstreamServers(): Promise<readonly string[]> {
    const now = performance.now();
    if (this.#upstream === undefined || now - this.#upstream.at > upstreamMs) {
      const { door, zones } = this.#parts;
      const former = door.formerResolvConf();
      const text =
        former?.type === "link"
          ? await readFile(resolve("/etc", former.target), "latin1").catch(() => "")
          : former?.type === "file"
            ? former.text
            : (await door.resolver()).text;
      // To ask ourselves would go on for ever.
      const own = new Set(zones.all().map((zone) => zone.virtualIp.address));
      const servers = (await systemServers(text)).filter((server) => !own.has(server));
      this.#upstream = { servers, at: now };
    }
    return this.#upstream.servers;
  }
}

function askedBy(steps: readonly { kind: string }[]): AskedBy {
  if (steps.some((step) => step.kind === "set-link-dns")) return "systemd-resolved";
  return steps.some((step) => step.kind === "replace-resolv-conf") ? "resolv.conf" : "none";
}
