/** The DNS servers that this machine itself asks. */
import { readFile } from "node:fs/promises";
import { isStub, serversOf } from "../../core/names/resolv-conf.js";

/** Where systemd-resolved says whom it asks. */
const upstreamFile = "/run/systemd/resolve/resolv.conf";

/** @param text resolv.conf of the machine */
export async function systemServers(text: string): Promise<string[]> {
  const servers = serversOf(text);
  if (!servers.some(isStub)) return servers;
  const upstream = await readFile(upstreamFile, "latin1").catch(() => "");
  return [...new Set([...servers.filter((server) => !isStub(server)), ...serversOf(upstream)])];
}
