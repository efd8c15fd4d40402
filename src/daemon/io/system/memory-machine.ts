import type { Link } from "../../core/system/items.js";
import type { LinkDns, ResolvConf, ResolverState } from "../../core/system/resolver-items.js";
import type { Action } from "../../core/system/undo.js";
import type { Executor } from "./executor.js";

function textOf(action: Action): string {
  switch (action.type) {
    case "ip":
      return action.args.join(" ");
    case "nft":
      return "nft";
    case "sysctl":
      return `sysctl ${action.key}`;
    case "write-file":
    case "remove-file":
      return `${action.type} ${action.path}`;
    case "reset-tun":
      return `reset ${action.mode ?? "tun"} ${action.name}`;
    case "resolvectl":
      return `resolvectl ${action.args.join(" ")}`;
    case "resolv-conf":
      return "resolv.conf";
  }
}

type Json = Record<string, unknown>;

/** A machine in memory for tests of what drives the door: links, addresses, settings; says what was done. */
export class MemoryMachine implements Executor {
  readonly links = new Map<string, Link>();
  readonly sysctls = new Map<string, string>();
  /** "family name" of each nftables table, and the input that was last about it. */
  readonly tables = new Map<string, string>();
  /** As systemd-resolved would have it; undefined: there is none. */
  resolved: Map<string, LinkDns> | undefined;
  resolvConf: ResolvConf = { type: "absent" };
  readonly files = new Map<string, string>();
  readonly done: string[] = [];
  /** Makes the action whose text holds this fail. */
  failOn: string | undefined;
  /** Called before each action. */
  onAction: (text: string) => void = () => {};
  readonly #tuns = new Map<number, string>();
  #next = 100;

  async run(action: Action): Promise<void> {
    const text = textOf(action);
    this.onAction(text);
    if (this.failOn !== undefined && text.includes(this.failOn)) throw new Error(`refused: ${text}`);
    this.done.push(text);
    if (action.type === "sysctl") this.sysctls.set(action.key, action.value);
    if (action.type === "write-file") this.files.set(action.path, action.text);
    if (action.type === "remove-file") this.files.delete(action.path);
    if (action.type === "ip") this.#ip(action.args);
    if (action.type === "nft") this.#nft(action.input);
    if (action.type === "resolv-conf") this.resolvConf = action.content;
    if (action.type === "resolvectl") this.#resolvectl(action.args);
  }

  async readIp(args: readonly string[]): Promise<unknown> {
    const at = args.indexOf("dev");
    const name = at < 0 ? undefined : args[at + 1];
    if (args.includes("route")) return [];
    const chosen = [...this.links.values()].filter((link) => name === undefined || link.name === name);
    if (name !== undefined && chosen.length === 0) return undefined;
    return chosen.map((link) => ({
      ifname: link.name,
      ifindex: link.ifindex,
      mtu: link.mtu,
      flags: link.up ? ["UP"] : [],
      linkinfo: { info_kind: link.type, info_data: { type: link.tunMode, persist: link.persistent } },
      addr_info: link.addresses.map((address) => {
        const [local, prefixlen] = address.split("/");
        return { local, prefixlen: Number(prefixlen), scope: "global" };
      }),
    }));
  }

  async readSysctl(key: string): Promise<string | undefined> {
    return this.sysctls.get(key);
  }

  async readText(path: string): Promise<string | undefined> {
    return this.files.get(path);
  }

  async missingFolders(): Promise<string[]> {
    return [];
  }

  async nftTables(): Promise<string[]> {
    return [...this.tables.keys()];
  }

  async readResolver(): Promise<ResolverState> {
    const { resolvConf: file } = this;
    return {
      resolved: this.resolved !== undefined,
      links: this.resolved ?? new Map(),
      file,
      text: file.type === "file" ? file.text : "",
      inPlace: false,
    };
  }

  openTun(name: string): { fd: number } {
    const fd = this.#next++;
    const link = this.links.get(name);
    if (!link)
      this.#put({
        name,
        ifindex: fd,
        mtu: 1500,
        up: false,
        type: "tun",
        tunMode: "tun",
        persistent: false,
        addresses: [],
      });
    this.#tuns.set(fd, name);
    return { fd };
  }

  closeFd(fd: number): void {
    const name = this.#tuns.get(fd);
    this.#tuns.delete(fd);
    if (name !== undefined && this.links.get(name)?.persistent === false) this.links.delete(name);
  }

  #put(link: Link): void {
    this.links.set(link.name, link);
  }

  #resolvectl([verb = "", device = "", ...values]: readonly string[]): void {
    if (!this.resolved) throw new Error("no systemd-resolved");
    const before = this.resolved.get(device) ?? { servers: [], domains: [], defaultRoute: false };
    const set = values.filter((value) => value !== "");
    if (verb === "revert") this.resolved.delete(device);
    if (verb === "dns") this.resolved.set(device, { ...before, servers: set });
    if (verb === "domain") this.resolved.set(device, { ...before, domains: set });
    if (verb === "default-route") this.resolved.set(device, { ...before, defaultRoute: set[0] === "yes" });
  }

  #nft(input: string): void {
    // What is in nft's own language is inside a table that is there.
    if (!input.startsWith("{")) return;
    const { nftables } = JSON.parse(input) as {
      nftables: Record<string, Record<string, Json> | undefined>[];
    };
    for (const { add, delete: remove } of nftables) {
      if (add?.table) this.tables.set(`${add.table.family} ${add.table.name}`, input);
      if (remove?.table) this.tables.delete(`${remove.table.family} ${remove.table.name}`);
    }
  }

  #ip(args: readonly string[]): void {
    const name = args[args.indexOf("dev") + 1] ?? "";
    const link = this.links.get(name);
    if (!link) throw new Error(`no device ${name}`);
    const [object, verb, address] = args;
    if (object === "link" && verb === "set") {
      const mtu = args.indexOf("mtu");
      const up = args.includes("up") || (link.up && !args.includes("down"));
      this.#put({ ...link, up, mtu: mtu < 0 ? link.mtu : Number(args[mtu + 1]) });
    }
    if (object === "addr" && (verb === "add" || verb === "replace"))
      this.#put({ ...link, addresses: [...link.addresses.filter((one) => one !== address), address ?? ""] });
    if (object === "addr" && verb === "del") {
      this.#put({ ...link, addresses: link.addresses.filter((one) => one !== address) });
    }
  }
}
