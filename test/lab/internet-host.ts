/** A host whose addresses look public: those of the lab's own segment count as special. */
import type { Host, Lab } from "./lab.js";

export const internet4 = "93.184.216.34";
export const internet6 = "2606:2800:220:1::34";
/** What the addresses lie in. */
export const internetRoutes = "93.184.216.0/24,2606:2800:220:1::/64";

export async function internetHost(lab: Lab): Promise<Host> {
  const host = await lab.publicHost("web");
  await host.ip("addr", "add", `${internet4}/32`, "dev", "lo");
  await host.ip("addr", "add", `${internet6}/128`, "dev", "lo", "nodad");
  await lab.internet.ip("route", "add", "93.184.216.0/24", "via", host.address);
  await lab.internet.ip("-6", "route", "add", "2606:2800:220:1::/64", "via", host.address6);
  return host;
}
