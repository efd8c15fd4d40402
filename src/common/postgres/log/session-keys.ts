import { payloadKeys } from "../seal.js";
import type { Statement } from "./query.js";

/** What opens the payloads of sessions; `missing`: none of the PSKs at hand. Of others they are not encrypted. */
export type SessionKeys = ReadonlyMap<bigint, Uint8Array | "missing">;

interface Database {
  ask(statement: Statement): Promise<(string | null)[][]>;
}

/** @param network its name in the database */
export async function sessionKeys(
  database: Database,
  network: string,
  psks: readonly Uint8Array[],
): Promise<SessionKeys> {
  const rows = await database.ask({
    sql: "SELECT session, encode(salt, 'hex'), encode(key_check, 'hex') FROM vpnd.session_key WHERE network = $1::text",
    parameters: [network],
  });
  return new Map(
    rows.map(([session, salt, check]) => {
      const candidates = psks.map((psk) => payloadKeys(psk, network, Buffer.from(salt ?? "", "hex")));
      const right = candidates.find((one) => Buffer.from(one.check).toString("hex") === check);
      return [BigInt(session ?? 0), right?.key ?? "missing"];
    }),
  );
}
