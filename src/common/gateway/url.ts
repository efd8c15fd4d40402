/** URLs of gateways and of proxies on the way to them, as people write them. */
import { VpnError } from "../errors.js";

/** "HOST:PORT" of a URL, the port too if it is the usual one. */
export function hostPort(url: URL): string {
  const usual = url.protocol === "wss:" || url.protocol === "https:" ? 443 : 80;
  return `${url.hostname}:${url.port === "" ? usual : url.port}`;
}

/** @returns "ws://…" or "wss://…" @throws VpnError `usage` */
export function checkGatewayUrl(text: string): URL {
  return checkUrl(text, ["ws:", "wss:"], "wss://HOST/PATH");
}

/** @returns "http://HOST:PORT" @throws VpnError `usage` */
export function checkProxyUrl(text: string): string {
  const url = checkUrl(text, ["http:"], "--proxy http://HOST:PORT");
  return `http://${hostPort(url)}`;
}

function checkUrl(text: string, protocols: readonly string[], example: string): URL {
  const bad = (why: string): VpnError =>
    new VpnError("usage", `${JSON.stringify(shown(text))} ${why}`, { hint: `write it as ${example}` });
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad("is no URL");
  }
  if (!protocols.includes(url.protocol))
    throw bad(`begins with none of ${protocols.map((one) => `${one}//`).join(", ")}`);
  if (url.hostname === "" || text.length > 500) throw bad("names no host");
  if (url.username !== "" || url.password !== "")
    throw bad("holds a password; the token goes into --token-file");
  if (url.hash !== "") throw bad("has a part behind #");
  return url;
}

/** What is before an @ may be a secret. */
const shown = (text: string): string => text.slice(0, 200).replace(/\/\/[^/]*@/, "//***@");
