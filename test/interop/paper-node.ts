/**
 * A node that knows nothing but the paper's JSON on UDP: sends heartbeats, collects maps. It shares no code with the
 * programs under test. As a script it prints each map as a line of JSON:
 *
 *   node --import tsx test/interop/paper-node.ts SERVER VIRTUAL-IP [PRIVATE-IP]
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import { argv, stdout } from "node:process";
import { pathToFileURL } from "node:url";

/** As the paper writes it, unread: `VirtualIP`, `PrivateIP` ("IP:PORT") and `PublicIP` ("IP:PORT") of each node. */
export interface PaperMap {
  Nodes: { VirtualIP: string; PrivateIP: string; PublicIP: string }[];
  MyIndex: number;
}

export interface PaperNodeOptions {
  /** "ADDR:PORT" or "[ADDR]:PORT". */
  server: string;
  virtualIp: string;
  /** "IP" or "IP:PORT"; left out of the heartbeat if absent. */
  privateIp?: string;
  /** Local address; default: any. The port is the kernel's choice unless `bindPort` is given. */
  bind?: string;
  bindPort?: number;
  /** Milliseconds between heartbeats, 5000 if absent; 0: one at the start and no more. */
  heartbeatMs?: number;
  /** Spells the key as the paper's sample does. */
  misspelt?: boolean;
}

type Waiter = () => void;

export class PaperNode {
  readonly #options: PaperNodeOptions;
  readonly #host: string;
  readonly #port: number;
  readonly #socket: Socket;
  readonly #waiters = new Set<Waiter>();
  /** All maps received, oldest first. */
  readonly maps: PaperMap[] = [];
  /** What came from the server and is no map. */
  readonly oddities: string[] = [];
  virtualIp: string;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PaperNodeOptions) {
    this.#options = options;
    this.virtualIp = options.virtualIp;
    const colon = options.server.lastIndexOf(":");
    this.#host = options.server.slice(0, colon).replace(/^\[|\]$/g, "");
    this.#port = Number(options.server.slice(colon + 1));
    this.#socket = createSocket(isIPv6(this.#host) ? "udp6" : "udp4");
  }

  /** Local UDP port, once started. */
  get port(): number {
    return this.#socket.address().port;
  }

  async start(): Promise<void> {
    const { bind, bindPort = 0, heartbeatMs = 5000 } = this.#options;
    this.#socket.on("message", (data) => this.#receive(data));
    this.#socket.bind({ port: bindPort, ...(bind === undefined ? {} : { address: bind }) });
    await once(this.#socket, "listening");
    this.heartbeat();
    if (heartbeatMs > 0) this.#timer = setInterval(() => this.heartbeat(), heartbeatMs);
  }

  heartbeat(): void {
    const { privateIp, misspelt } = this.#options;
    const key = misspelt === true ? "VirutalIP" : "VirtualIP";
    this.send(
      JSON.stringify({ [key]: this.virtualIp, ...(privateIp === undefined ? {} : { PrivateIP: privateIp }) }),
    );
  }

  /** Any bytes, from the node's own port; an unreachable server is silence. */
  send(data: string | Uint8Array): void {
    if (!this.#closed) this.#socket.send(data, this.#port, this.#host, () => {});
  }

  /** The first map for which `wanted` holds, of those received from `since` (an index of `maps`, default: all) on. */
  async waitForMap(wanted: (map: PaperMap) => boolean, deadlineMs: number, since = 0): Promise<PaperMap> {
    let seen = since;
    const find = (): PaperMap | undefined => {
      while (seen < this.maps.length) {
        const map = this.maps[seen++];
        if (map !== undefined && wanted(map)) return map;
      }
      return undefined;
    };
    const already = find();
    if (already !== undefined) return already;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(check);
      };
      const check = (): void => {
        const map = find();
        if (map === undefined) return;
        done();
        resolve(map);
      };
      const timer = setTimeout(() => {
        done();
        const last = JSON.stringify(this.maps.at(-1))?.slice(0, 2000) ?? "none";
        reject(new Error(`no such map within ${deadlineMs} ms; ${this.maps.length} maps, last: ${last}`));
      }, deadlineMs);
      this.#waiters.add(check);
    });
  }

  /** Falls silent: no heartbeats, but maps are still received. */
  silence(): void {
    clearInterval(this.#timer);
  }

  async stop(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  #receive(data: Buffer): void {
    const map = readMap(data.toString());
    if (map === undefined) {
      if (this.oddities.length < 100) this.oddities.push(data.toString("hex").slice(0, 200));
      return;
    }
    this.maps.push(map);
    for (const waiter of [...this.#waiters]) waiter();
  }
}

/** Strict where a paper's node is: every node has all three members as text, and the index is one of the list. */
function readMap(text: string): PaperMap | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("Nodes" in value) || !("MyIndex" in value))
    return undefined;
  const { Nodes: nodes, MyIndex: index } = value;
  if (!Array.isArray(nodes) || typeof index !== "number" || !(index in nodes)) return undefined;
  const read = nodes.filter(isMapNode);
  return read.length === nodes.length ? { Nodes: read, MyIndex: index } : undefined;
}

function isMapNode(value: unknown): value is PaperMap["Nodes"][number] {
  if (typeof value !== "object" || value === null) return false;
  return ["VirtualIP", "PrivateIP", "PublicIP"].every((key) => typeof Reflect.get(value, key) === "string");
}

async function main(
  server: string | undefined,
  virtualIp: string | undefined,
  privateIp?: string,
): Promise<void> {
  if (server === undefined || virtualIp === undefined) {
    process.stderr.write(
      "paper-node: server or virtual IP missing\nuse: paper-node.ts ADDR:PORT VIRTUAL-IP [PRIVATE-IP]\n",
    );
    process.exitCode = 2;
    return;
  }
  const node = new PaperNode({ server, virtualIp, ...(privateIp === undefined ? {} : { privateIp }) });
  let stopped = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      stopped = true;
      void node.stop().then(() => process.exit(0));
    });
  }
  await node.start();
  for (let seen = 0; !stopped; seen++) {
    // Nothing to wait for but the next map, however long a dead server takes to come back.
    const map = await node.waitForMap(() => true, 2 ** 31 - 1, seen);
    stdout.write(`${JSON.stringify(map)}\n`);
  }
}

if (import.meta.url === pathToFileURL(argv[1] ?? "").href) await main(argv[2], argv[3], argv[4]);
