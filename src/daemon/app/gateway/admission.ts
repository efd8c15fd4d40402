/** Who is let in to a gateway, and who is not: counted by reason. */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import type { Leases, Taken } from "../../core/gateway/leases.js";
import type { GatewayOptions } from "../../core/gateway/options.js";
import { nonceBytes, readResumeToken } from "../../core/gateway/resume-token.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import { closeCodes } from "../../io/gateway/channel.js";
import type { Knock } from "../../io/gateway/server.js";
import type { Verdict } from "./station-calls.js";

export interface AdmissionParts {
  options: Pick<GatewayOptions, "path" | "fanqiang">;
  resumeKey: Uint8Array;
  leases: Leases;
  /** Who comes with this token; "none" where tokens are not asked for. */
  userOf: (token: string) => GatewayUser | "none" | "unknown" | "expired" | "used-up";
  log: Logger;
}

/** Who knocked may come in. */
export interface Welcome {
  user: GatewayUser | undefined;
  lease: Taken;
}

type Refusal = 401 | 404 | 426 | 429;

export class Admission {
  readonly #parts: AdmissionParts;
  readonly #refused = new Map<string, number>();

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Connections that were not served, by reason. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  /** @param id the session that it becomes @param closed no new ones are let in */
  judge(knock: Knock, id: number, closed: boolean): Welcome | Exclude<Verdict, { grant: unknown }> {
    const { resumeKey, leases, log } = this.#parts;
    const user = this.#whois(knock);
    if (Array.isArray(user)) {
      const [refuse, why] = user;
      this.count(why);
      log.debug({ remote: knock.remote, why }, "gateway connection refused");
      return { refuse };
    }
    const whose = user?.name ?? "";
    const wanted = readResumeToken(resumeKey, whose, knock.resume);
    const nonce = randomBytes(nonceBytes).toString("hex");
    const lease = closed ? undefined : leases.take(whose, id, wanted, nonce, knock.returns);
    return lease === undefined ? this.turnAway("full", "no room for another client") : { user, lease };
  }

  /** It is told to come later. */
  turnAway(why: string, text: string): { close: { code: number; text: string } } {
    this.count(why);
    return { close: { code: closeCodes.tryLater, text } };
  }

  /** @param why a word with hyphens */
  count(why: string): void {
    this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1);
  }

  /** Undefined: somebody without a token, where none is asked for. */
  #whois({ path, token, own }: Knock): GatewayUser | undefined | [Refusal, string] {
    const { options, userOf } = this.#parts;
    if (path !== options.path && !options.fanqiang) return [404, "wrong-path"];
    const found = userOf(token);
    if (found === "unknown") return [401, token === "" ? "no-token" : "wrong-token"];
    if (found === "expired") return [401, "expired-token"];
    if (found === "used-up") return [429, "quota"];
    if (!own && !options.fanqiang) return [426, "other-protocol"];
    return found === "none" ? undefined : found;
  }
}
