import { VpnError } from "../errors.js";

/** A user's token as it stands in a file; empty: none. @throws VpnError `usage` for what cannot go into a header */
export function gatewayToken(bytes: Uint8Array): string {
  const token = Buffer.from(bytes).toString("utf8").trim();
  if (/^[\x21-\x7e]{0,256}$/.test(token)) return token;
  throw new VpnError("usage", "that is no token of a gateway", {
    hint: "one line of at most 256 characters, as vpnctl gateway user add printed it",
  });
}
