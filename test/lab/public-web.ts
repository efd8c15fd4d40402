/** A public host of the lab, which tells whoever connects from which address it sees him. */
import process from "node:process";
import { waitFor } from "./command.js";
import type { Host, Lab } from "./lab.js";

/** Public as the real Internet's addresses are, unlike those reserved for documentation. */
export const [web4, web6] = ["93.184.216.34", "2606:2800:220:1::34"] as const;
const tellPort = 8080;

export async function publicWeb(lab: Lab): Promise<Host> {
  const web = await lab.publicHost("web");
  await web.ip("addr", "add", `${web4}/32`, "dev", "lo");
  await web.ip("addr", "add", `${web6}/128`, "dev", "lo");
  await lab.internet.ip("route", "add", web4, "via", web.address);
  await lab.internet.ip("-6", "route", "add", web6, "via", web.address6);
  const tell = `require("node:net").createServer((s) => { s.on("error", () => {});
    s.end(s.remoteAddress.replace("::ffff:", "") + "\\n"); }).listen(${tellPort}, "::")`;
  const program = web.spawn("tell", process.execPath, ["-e", tell]);
  await web.listening(program, "tcp", tellPort);
  return web;
}

/** The source address that it sees; empty: nobody answers. */
export async function seenFrom(host: Host, address: string): Promise<string> {
  const read = `exec 3<>/dev/tcp/${address}/${tellPort} && cat <&3`;
  const { stdout } = await host.exec("timeout", ["2", "bash", "-c", read]);
  return stdout.trim();
}

export async function isSeenAs(host: Host, address: string, source: string): Promise<void> {
  let last = "";
  await waitFor(
    async () => {
      last = await seenFrom(host, address);
      return last === source;
    },
    60_000,
    `${address} sees ${host.name} as ${source}`,
    () => last,
  );
}
