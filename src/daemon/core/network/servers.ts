import { parsePostgresUrl } from "../../../common/postgres/url.js";
import { firstHop } from "../gateway/client-options.js";
import type { NetworkConfig } from "./config.js";

/** "HOST:PORT" of whom a network connects to outside of any tunnel. */
export function serversOf({ asked }: Pick<NetworkConfig, "asked">): readonly string[] {
  if (asked.postgres !== undefined) return parsePostgresUrl(asked.postgres.url).servers;
  if (asked.gateway !== undefined) return [firstHop(asked.gateway)];
  if (asked.tcp !== undefined) return asked.tcp.role === "connect" ? [asked.tcp.address] : [];
  return asked.iex;
}
