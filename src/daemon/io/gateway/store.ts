/** A gateway on disk: gateway.json, while it is to run, gateway-users.json, and gateway-usage.json. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { VpnError } from "../../../common/errors.js";
import { type GatewayOptions, gatewayOptionsSchema } from "../../core/gateway/options.js";
import { formatUsers, type GatewayUser, parseUsers } from "../../core/gateway/users.js";
import { errorCode, removeFile, writeFileAtomic } from "../atomic-file.js";

const keySchema = z.string().regex(/^[0-9a-f]{64}$/);
const fileSchema = z.strictObject({
  version: z.literal(1),
  options: gatewayOptionsSchema,
  resumeKey: keySchema,
  declared: z.boolean().default(false),
});

export interface StoredGateway {
  options: GatewayOptions;
  /** Of resume tokens. */
  resumeKey: Uint8Array;
  /** It is there because the config declares it. */
  declared: boolean;
}

export class GatewayStore {
  readonly #file: string;
  readonly #users: string;
  readonly #usage: string;

  constructor(stateDir: string) {
    this.#file = join(stateDir, "gateway.json");
    this.#users = join(stateDir, "gateway-users.json");
    this.#usage = join(stateDir, "gateway-usage.json");
  }

  /** Undefined: there is no gateway. @throws VpnError `failed` when the file makes no sense */
  async load(): Promise<StoredGateway | undefined> {
    const text = await this.#read(this.#file);
    if (text === undefined) return undefined;
    const { success, data } = fileSchema.safeParse(json(text));
    if (!success) throw damaged(this.#file, "start the gateway anew: vpnctl gateway start");
    const { options, resumeKey, declared } = data;
    return { options, resumeKey: Buffer.from(resumeKey, "hex"), declared };
  }

  /** @throws VpnError `failed` */
  save({ options, resumeKey, declared }: StoredGateway): Promise<void> {
    const file = { version: 1, options, resumeKey: Buffer.from(resumeKey).toString("hex"), declared };
    return writeFileAtomic(this.#file, `${JSON.stringify(file, undefined, 1)}\n`);
  }

  /** @throws VpnError `failed` */
  forget(): Promise<void> {
    return removeFile(this.#file);
  }

  /** Undefined: there never were any. @throws VpnError `failed` when the file makes no sense: nobody is let in by mistake */
  async users(): Promise<GatewayUser[] | undefined> {
    const text = await this.#read(this.#users);
    if (text === undefined) return undefined;
    const users = parseUsers(text);
    if (users === undefined) throw damaged(this.#users, "restore it, or move it away and add the users anew");
    return users;
  }

  /** @throws VpnError `failed` */
  saveUsers(users: readonly GatewayUser[]): Promise<void> {
    return writeFileAtomic(this.#users, formatUsers(users));
  }

  /** What users have used of their quotas; undefined: nothing yet. @throws VpnError `failed` */
  usage(): Promise<string | undefined> {
    return this.#read(this.#usage);
  }

  /** @throws VpnError `failed` */
  saveUsage(text: string): Promise<void> {
    return writeFileAtomic(this.#usage, text);
  }

  async #read(path: string): Promise<string | undefined> {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw new VpnError("failed", `cannot read ${path}: ${errorCode(error) ?? "?"}`, { cause: error });
    }
  }
}

const damaged = (path: string, hint: string): VpnError =>
  new VpnError("failed", `${path} makes no sense`, { hint });

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
