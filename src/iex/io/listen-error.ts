/** What a socket that cannot be opened means to the person who started the program. */
import { VpnError } from "../../common/errors.js";

/** @param transport "UDP" or "TCP" @param flag the flag that chose the address */
export function listenError(
  thrown: unknown,
  transport: "UDP" | "TCP",
  endpoint: string,
  flag: string,
): VpnError {
  const code = errnoOf(thrown);
  const what = `cannot listen on ${transport} ${endpoint}`;
  switch (code) {
    case "EADDRINUSE": {
      const port = endpoint.slice(endpoint.lastIndexOf(":") + 1);
      const tool = transport === "UDP" ? "ss -lunp" : "ss -ltnp";
      return new VpnError("failed", `${what}: another program has the port`, {
        hint: `find it with: ${tool} 'sport = ${port}', or choose another port with ${flag}`,
        cause: thrown,
      });
    }
    case "EACCES":
      return new VpnError("not-permitted", `${what}: not permitted`, {
        hint: `ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one with ${flag}`,
        cause: thrown,
      });
    case "EADDRNOTAVAIL":
      return new VpnError("failed", `${what}: this machine does not have the address`, {
        hint: `see: ip address, and give one of them, or 0.0.0.0 or [::] for all, with ${flag}`,
        cause: thrown,
      });
    default:
      return new VpnError("failed", `${what}: ${code ?? VpnError.from(thrown).message}`, {
        hint: `check the address given with ${flag}`,
        cause: thrown,
      });
  }
}

/** "EADDRINUSE" and its like, if the error has one. */
function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
