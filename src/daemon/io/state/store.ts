import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { VpnError } from "../../../common/errors.js";
import { isNoRules, noRules, type Rules } from "../../core/filter/rules.js";
import { parseRules, rulesJson } from "../../core/filter/stored-rules.js";
import type { GatewayClientOptions } from "../../core/gateway/client-options.js";
import type { FormerPsk } from "../../core/keys/psk-ring.js";
import {
  carrierOf,
  checkJoinOptions,
  checkLabel,
  hasPsk,
  type NetworkConfig,
} from "../../core/network/config.js";
import type { PostgresOptions } from "../../core/postgres/options.js";
import { readRouting } from "../../core/routes/routing.js";
import type { TcpOptions } from "../../core/tcp/options.js";
import { errorCode, removeFile, syncFolder, writeFileAtomic } from "../atomic-file.js";

/** Kept apart from everything else, never shown. */
export interface NetworkSecrets {
  /** The preferred PSK, as `parsePsk` returned it. */
  psk: Uint8Array;
  /** Since when it is preferred, milliseconds since 1970; absent: since `join`. */
  pskSince?: number;
  /** PSKs before it that are still accepted, the newest first. */
  formerPsks?: readonly FormerPsk[];
  /** Ed25519 seed of the node key, 32 bytes. */
  nodeSeed: Uint8Array;
  /** What the database of a postgres network or a gateway asks for. */
  password?: string;
}

/** What a network learned: pins and own endpoints, in the carrier's own form. */
export type Learned = Record<string, unknown>;

export interface StoredNetwork {
  config: NetworkConfig;
  secrets: NetworkSecrets;
  learned: Learned;
  /** Absent: there are none. */
  filter?: Rules;
}

/** A network whose files cannot be used; they stay where they are until it is left. */
export interface DamagedNetwork {
  name: string;
  file: string;
  message: string;
}

const folders = ["networks", "secrets", "peers", "filters"] as const;
type Folder = (typeof folders)[number];

/** Networks on disk: NAME.json in networks, secrets, peers and, if there are rules, filters; each written whole. */
export class StateStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the folders. */
  async open(): Promise<void> {
    for (const folder of folders) await mkdir(join(this.#root, folder), { recursive: true, mode: 0o700 });
    await syncFolder(this.#root);
  }

  /** All networks, those that cannot be read apart. */
  async load(): Promise<{ networks: StoredNetwork[]; damaged: DamagedNetwork[] }> {
    const networks: StoredNetwork[] = [];
    const damaged: DamagedNetwork[] = [];
    for (const file of (await readdir(join(this.#root, "networks"))).sort()) {
      const name = /^([a-z0-9][a-z0-9-]{0,31})\.json$/.exec(file)?.[1];
      if (name === undefined) continue;
      let reading: Folder = "networks";
      try {
        const config = parseConfig(await this.#read(reading, name), name);
        reading = "secrets";
        const secrets = parseSecrets(await this.#read(reading, name), hasPsk(config.asked));
        reading = "peers";
        const learned = await this.#readLearned(name);
        reading = "filters";
        const filter = await this.#readFilter(name);
        networks.push({ config, secrets, learned, ...(filter && { filter }) });
      } catch (error) {
        const why = errorCode(error) === "ENOENT" ? "it is missing" : String((error as Error).message);
        const path = this.#path(reading, name);
        damaged.push({ name, file: path, message: `cannot use ${path}: ${why}` });
      }
    }
    return { networks, damaged };
  }

  /** Writes a new or changed network; the config comes last, so that a half-written join is no network. */
  async save(network: StoredNetwork): Promise<void> {
    const { name } = network.config;
    try {
      await this.saveLearned(name, network.learned);
      await this.saveFilter(name, network.filter ?? noRules);
      await this.change(network);
    } catch (error) {
      for (const folder of folders) await removeFile(this.#path(folder, name)).catch(() => {});
      throw error;
    }
  }

  /** Writes config and secrets of a network that may be there already; what cannot be written stays as it was. */
  async change(network: StoredNetwork): Promise<void> {
    await this.saveSecrets(network.config.name, network.secrets);
    await this.saveConfig(network.config);
  }

  async saveSecrets(name: string, secrets: NetworkSecrets): Promise<void> {
    await this.#write("secrets", name, { version: 1, ...secretsJson(secrets) });
  }

  async saveConfig(config: NetworkConfig): Promise<void> {
    await this.#write("networks", config.name, { version: 1, ...config });
  }

  async saveLearned(name: string, learned: Learned): Promise<void> {
    await this.#write("peers", name, { version: 1, learned });
  }

  async saveFilter(name: string, filter: Rules): Promise<void> {
    if (isNoRules(filter)) await removeFile(this.#path("filters", name));
    else await this.#write("filters", name, { version: 1, ...rulesJson(filter) });
  }

  /** Forgets a network; the config goes first, for the reason that it came last. */
  async remove(name: string): Promise<void> {
    await removeFile(this.#path("networks", name));
    await removeFile(this.#path("secrets", name));
    await removeFile(this.#path("peers", name));
    await removeFile(this.#path("filters", name));
  }

  /** Moves a damaged network's files aside. @returns their new names */
  async setAside(name: string, suffix: string): Promise<string[]> {
    const kept: string[] = [];
    for (const folder of folders) {
      const path = this.#path(folder, name);
      const aside = `${path}.damaged-${suffix}`;
      try {
        await rename(path, aside);
        kept.push(aside);
      } catch (error) {
        if (errorCode(error) !== "ENOENT") throw VpnError.from(error, "failed");
      }
    }
    return kept;
  }

  #path(folder: Folder, name: string): string {
    checkLabel(name);
    return join(this.#root, folder, `${name}.json`);
  }

  async #read(folder: Folder, name: string): Promise<Record<string, unknown>> {
    let value: unknown;
    const text = await readFile(this.#path(folder, name), "utf8");
    try {
      value = JSON.parse(text);
    } catch {
      // The parser's message quotes the file, which may be secret.
      throw new Error("it is not JSON");
    }
    if (!isObject(value) || value.version !== 1) throw new Error("it is not a state file of this version");
    return value;
  }

  async #readLearned(name: string): Promise<Learned> {
    try {
      const { learned } = await this.#read("peers", name);
      if (!isObject(learned)) throw new Error("it lacks what was learned");
      return learned;
    } catch (error) {
      if (errorCode(error) === "ENOENT") return {};
      throw error;
    }
  }

  async #readFilter(name: string): Promise<Rules | undefined> {
    try {
      return parseRules(await this.#read("filters", name));
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  #write(folder: Folder, name: string, value: unknown): Promise<void> {
    return writeFileAtomic(this.#path(folder, name), `${JSON.stringify(value, undefined, 1)}\n`);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

function parseConfig(file: Record<string, unknown>, name: string): NetworkConfig {
  const { asked, device, mtu, nodeName, port, up, joined } = file;
  const whole =
    file.name === name &&
    typeof file.carrier === "string" &&
    isObject(asked) &&
    typeof device === "string" &&
    typeof mtu === "number" &&
    typeof nodeName === "string" &&
    typeof port === "number" &&
    typeof up === "boolean" &&
    typeof joined === "number";
  if (!whole) throw new Error("it lacks fields, or they have the wrong types");
  const { iex, virtualIp, badger, listenPort } = asked;
  const tcp = parseTcp(asked.tcp);
  const postgres = parsePostgres(asked.postgres);
  const gateway = parseGateway(asked.gateway);
  const carrier = carrierOf({
    ...(tcp && { tcp }),
    ...(postgres && { postgres }),
    ...(gateway && { gateway }),
  });
  const askedWhole =
    asked.network === name &&
    file.carrier === carrier &&
    Array.isArray(iex) &&
    iex.every((server) => typeof server === "string") &&
    typeof virtualIp === "string" &&
    typeof badger === "boolean" &&
    typeof listenPort === "number" &&
    typeof asked.device === "string" &&
    typeof asked.mtu === "number" &&
    typeof asked.nodeName === "string";
  if (!askedWhole) throw new Error("it lacks options, or they have the wrong types");
  const options = checkJoinOptions({
    network: name,
    iex,
    virtualIp,
    badger,
    listenPort,
    device: asked.device as string,
    mtu: asked.mtu as number,
    nodeName: asked.nodeName as string,
    ...(tcp !== undefined && { tcp }),
    ...(postgres !== undefined && { postgres }),
    ...(asked.noDns === true && { noDns: true }),
    ...(gateway !== undefined && { gateway }),
  });
  const declared = file.declared === true ? ({ declared: true } as const) : {};
  const routing = file.routing === undefined ? {} : { routing: readRouting(file.routing) };
  return {
    name,
    carrier,
    asked: options,
    device,
    mtu,
    nodeName,
    port,
    up,
    joined,
    ...declared,
    ...routing,
  };
}

function parseTcp(value: unknown): TcpOptions | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value)) throw new Error("its link is none");
  const { role, address, tap, tls } = value;
  const whole =
    (role === "listen" || role === "connect") &&
    typeof address === "string" &&
    typeof tap === "boolean" &&
    typeof tls === "boolean";
  if (!whole) throw new Error("its link lacks options, or they have the wrong types");
  return { role, address, tap, tls };
}

function parsePostgres(value: unknown): PostgresOptions | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value)) throw new Error("its database is none");
  const { url, fast, encrypted, retentionSeconds, maxBytes, log } = value;
  if (typeof url !== "string" || typeof fast !== "boolean") {
    throw new Error("its database lacks options, or they have the wrong types");
  }
  return {
    url,
    fast,
    encrypted: encrypted === true,
    ...(typeof log === "number" && { log }),
    ...(typeof retentionSeconds === "number" && { retentionSeconds }),
    ...(typeof maxBytes === "number" && { maxBytes }),
  };
}

function parseGateway(value: unknown): GatewayClientOptions | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value)) throw new Error("its gateway is none");
  const { url, proxy, routes, fanqiang, padding } = value;
  if (typeof url !== "string" || !Array.isArray(routes) || !routes.every((one) => typeof one === "string")) {
    throw new Error("its gateway lacks options, or they have the wrong types");
  }
  return {
    url,
    routes,
    ...(typeof proxy === "string" && { proxy }),
    ...(fanqiang === true && { fanqiang }),
    ...(padding === true && { padding }),
  };
}

function secretsJson({ psk, nodeSeed, pskSince, formerPsks = [], password }: NetworkSecrets): object {
  const former = formerPsks.map((one) => ({ ...one, psk: base64(one.psk) }));
  return {
    psk: base64(psk),
    nodeSeed: base64(nodeSeed),
    ...(pskSince !== undefined && { pskSince }),
    ...(former.length > 0 && { formerPsks: former }),
    ...(password !== undefined && { password }),
  };
}

function parseFormer(value: unknown): FormerPsk {
  if (!isObject(value)) throw new Error("it has a former key that is none");
  const { psk, since, until, graceMs } = value;
  const whole =
    typeof psk === "string" &&
    psk !== "" &&
    typeof since === "number" &&
    typeof until === "number" &&
    typeof graceMs === "number";
  if (!whole) throw new Error("it has a former key that lacks fields");
  return { psk: Buffer.from(psk, "base64"), since, until, graceMs };
}

/** @param needsPsk without it, the PSK is empty */
function parseSecrets(file: Record<string, unknown>, needsPsk: boolean): NetworkSecrets {
  const { psk, nodeSeed, pskSince, formerPsks = [], password } = file;
  if (typeof psk !== "string" || typeof nodeSeed !== "string") throw new Error("it lacks keys");
  if (!Array.isArray(formerPsks)) throw new Error("its former keys are no list");
  const secrets = {
    psk: Buffer.from(psk, "base64"),
    nodeSeed: Buffer.from(nodeSeed, "base64"),
    ...(typeof pskSince === "number" && { pskSince }),
    ...(formerPsks.length > 0 && { formerPsks: formerPsks.map(parseFormer) }),
    ...(typeof password === "string" && { password }),
  };
  if (secrets.nodeSeed.length !== 32 || (needsPsk && secrets.psk.length < 1))
    throw new Error("its keys have the wrong length");
  return secrets;
}
