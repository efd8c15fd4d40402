/** Who may use a gateway. Tokens are random and long, so that a plain hash of them gives nothing away. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { VpnError } from "../../../common/errors.js";
import { quotaPeriods } from "./quota-period.js";

const userSchema = z.strictObject({
  name: z.string(),
  /** SHA-256 of the token, lower-case hex. */
  tokenHash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Milliseconds since 1970, both. */
  created: z.number(),
  expires: z.number().optional(),
  /** Bytes a second, each way; absent: as fast as it goes. */
  rate: z.number().optional(),
  /** Bytes, both ways together; absent: as many as they like. */
  quota: z.number().optional(),
  /** The quota is for each of these; absent: once. */
  quotaPeriod: z.enum(quotaPeriods).optional(),
});

export type GatewayUser = z.infer<typeof userSchema>;

const fileSchema = z.strictObject({ version: z.literal(1), users: z.array(userSchema).max(100_000) });

export const tokenBytes = 32;
const longestToken = 256;

/** @param random `tokenBytes` of them */
export function makeToken(random: Uint8Array): string {
  return `vpngw_${Buffer.from(random).toString("base64url")}`;
}

export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** The user with the token. */
export function userOfToken(
  users: readonly GatewayUser[],
  token: string,
  now: number,
): GatewayUser | "unknown" | "expired" {
  if (token === "" || token.length > longestToken) return "unknown";
  const hash = hashToken(token);
  // Who times the comparison of hashes learns of the hash, which does not lead to the token.
  const user = users.find((one) => one.tokenHash === hash);
  if (user === undefined) return "unknown";
  return isOver(user, now) ? "expired" : user;
}

export function isOver({ expires }: GatewayUser, now: number): boolean {
  return expires !== undefined && expires <= now;
}

/** @throws VpnError `usage` */
export function checkUserName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/.test(name)) return;
  throw new VpnError("usage", `${JSON.stringify(name.slice(0, 80))} is no name for a user`, {
    hint: "up to 63 letters, digits, dots, hyphens, underscores and @",
  });
}

export function formatUsers(users: readonly GatewayUser[]): string {
  return `${JSON.stringify({ version: 1, users }, undefined, 1)}\n`;
}

/** Undefined: it is no file of users. */
export function parseUsers(text: string): GatewayUser[] | undefined {
  try {
    const { success, data } = fileSchema.safeParse(JSON.parse(text));
    return success ? data.users : undefined;
  } catch {
    return undefined;
  }
}
