/** nebula as it comes: AES-256-GCM, MTU 1300, b is the lighthouse. */
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { must, waitFor } from "../../test/lab/command.js";
import type { Host } from "../../test/lab/lab.js";
import { type Contestant, findProgram, hasDevice, inner, versionOf } from "./contestant.js";

const device = "neb0";
const port = 4242;

function config(host: Host, farAddress: string, folder: string, lighthouse: string): string {
  const place = (end: string) => JSON.stringify(join(folder, end));
  return `pki: {ca: ${place("ca.crt")}, cert: ${place(`${host.name}.crt`)}, key: ${place(`${host.name}.key`)}}
static_host_map: {"${inner.b}": ["${farAddress}:${port}"]}
lighthouse: ${lighthouse}
listen: {host: 0.0.0.0, port: ${port}}
punchy: {punch: false}
tun: {dev: ${device}}
logging: {level: warning, format: text}
firewall:
  outbound: [{port: any, proto: any, host: any}]
  inbound: [{port: any, proto: any, host: any}]
`;
}

/** @returns undefined when the tool for its certificates is missing */
export async function nebula(binary: string): Promise<Contestant | undefined> {
  const beside = join(dirname(binary), "nebula-cert");
  const signer = existsSync(beside) ? beside : findProgram("nebula-cert");
  if (signer === undefined) return undefined;
  return {
    name: "nebula",
    version: `${await versionOf(binary, ["--version"], /Version: (\S+)/)}, AES-256-GCM`,
    async start({ a, b }) {
      const folder = a.folder;
      const ca = ["-out-crt", join(folder, "ca.crt"), "-out-key", join(folder, "ca.key")];
      await must(signer, ["ca", "-name", "bench", "-duration", "24h", ...ca]);
      for (const [host, address] of [
        [a, inner.a],
        [b, inner.b],
      ] as const) {
        const by = ["-ca-crt", join(folder, "ca.crt"), "-ca-key", join(folder, "ca.key")];
        const out = [
          "-out-crt",
          join(folder, `${host.name}.crt`),
          "-out-key",
          join(folder, `${host.name}.key`),
        ];
        await must(signer, [
          "sign",
          "-name",
          host.name,
          "-ip",
          `${address}/24`,
          "-duration",
          "20h",
          ...by,
          ...out,
        ]);
      }
      const lighthouses = { b: "{am_lighthouse: true}", a: `{interval: 60, hosts: ["${inner.b}"]}` };
      for (const [host, lighthouse] of [
        [b, lighthouses.b],
        [a, lighthouses.a],
      ] as const) {
        const file = join(host.folder, "nebula.yml");
        writeFileSync(file, config(host, b.address, folder, lighthouse), { mode: 0o600 });
        host.spawn("nebula", binary, ["-config", file]);
        await waitFor(() => hasDevice(host, device), 10_000, `${host.name} has ${device}`);
      }
      return { address: inner.b, device };
    },
  };
}
