/** Who may use the gateway, and how much of it: users with their tokens and quotas. */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import {
  checkUserName,
  type GatewayUser,
  hashToken,
  isOver,
  makeToken,
  tokenBytes,
  userOfToken,
} from "../../core/gateway/users.js";
import type { GatewayStore } from "../../io/gateway/store.js";
import { Mutex } from "../mutex.js";
import { Quotas } from "./quotas.js";

export interface GatewayUsersParts {
  store: GatewayStore;
  log: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
  onChange: () => void;
  /** Closes the user's connections. @returns how many */
  onRevoked: (name: string) => Promise<number>;
}

/** Absent: none. */
export interface UserLimits extends Pick<GatewayUser, "rate" | "quota" | "quotaPeriod"> {
  expiresInSeconds?: number;
}

const mostUsers = 10_000;

export class GatewayUsers {
  readonly #parts: GatewayUsersParts;
  readonly #quotas: Quotas;
  readonly #mutex = new Mutex();
  #users: GatewayUser[] = [];
  #never = false;
  #loaded = false;

  constructor(parts: GatewayUsersParts) {
    this.#parts = parts;
    this.#quotas = new Quotas(parts);
  }

  /** Reads who they are, if nobody has. @throws VpnError `failed`; nobody has a token then, and everybody needs one */
  async load(): Promise<void> {
    if (this.#loaded) return;
    const users = await this.#parts.store.users();
    await this.#quotas.load();
    this.#never = users === undefined;
    this.#users = users ?? [];
    this.#loaded = true;
  }

  /** Writes what is not on disk. Never throws. */
  save(): Promise<void> {
    return this.#quotas.save();
  }

  all(): readonly GatewayUser[] {
    return this.#users;
  }

  get count(): number {
    return this.#users.length;
  }

  /** There never was a user: until then a gateway of this machine alone asks for no token. */
  get never(): boolean {
    return this.#never;
  }

  /**
   * @param more absent: never, and as fast as it goes
   * @returns the token, which cannot be had again
   * @throws VpnError `usage` or `already-exists`
   */
  add(name: string, more: UserLimits): Promise<string> {
    checkUserName(name);
    return this.#mutex.run(async () => {
      await this.load();
      if (this.#users.some((user) => user.name === name)) {
        throw new VpnError("already-exists", `there is a user ${name}`, {
          hint: `give another name, or take that one's token away first: vpnctl gateway user revoke ${name}`,
        });
      }
      if (this.#users.length >= mostUsers)
        throw new VpnError("failed", `there are ${mostUsers} users already`);
      const token = makeToken(randomBytes(tokenBytes));
      const created = this.#parts.now();
      const { expiresInSeconds, ...limits } = more;
      await this.#save([
        ...this.#users,
        {
          name,
          tokenHash: hashToken(token),
          created,
          ...(expiresInSeconds !== undefined && { expires: created + expiresInSeconds * 1000 }),
          ...limits,
        },
      ]);
      return token;
    });
  }

  /** @returns how many of its connections were closed @throws VpnError `not-found` */
  revoke(name: string): Promise<number> {
    return this.#mutex.run(async () => {
      await this.load();
      const users = this.#users.filter((user) => user.name !== name);
      if (users.length === this.#users.length) {
        throw new VpnError("not-found", `there is no user ${JSON.stringify(name.slice(0, 100))}`, {
          hint: "see: vpnctl gateway user list",
        });
      }
      await this.#save(users);
      this.#quotas.forget(name);
      return this.#parts.onRevoked(name);
    });
  }

  /** @param open whoever comes is served @returns "none" where no token is asked for */
  whoHas(token: string, open: boolean): GatewayUser | "none" | "unknown" | "expired" | "used-up" {
    if (token === "" && (open || this.#never)) return "none";
    const user = userOfToken(this.#users, token, this.#parts.now());
    if (typeof user !== "string") return this.#quotas.left(user) === 0 ? "used-up" : user;
    return open ? "none" : user;
  }

  /** Whether there is such a user, whose time is not over. */
  has(name: string): boolean {
    const user = this.#users.find((one) => one.name === name);
    return user !== undefined && !isOver(user, this.#parts.now());
  }

  /** A client of the user moved so many bytes. @returns what is left of the quota, bytes; undefined: there is none */
  spend(user: GatewayUser, bytes: number): number | undefined {
    return this.#quotas.spend(user, bytes);
  }

  /** What the user has used of the quota in this period, and may use yet, bytes; undefined: there is no quota, or no such user. */
  quotaOf(name: string): { used: number; left: number } | undefined {
    const user = this.#users.find((one) => one.name === name);
    const left = user && this.#quotas.left(user);
    return user === undefined || left === undefined ? undefined : { used: this.#quotas.used(user), left };
  }

  async #save(users: GatewayUser[]): Promise<void> {
    await this.#parts.store.saveUsers(users);
    this.#users = users;
    this.#never = false;
    this.#parts.onChange();
  }
}
