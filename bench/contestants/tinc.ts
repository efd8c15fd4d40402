/** tinc 1.0 as it comes: router mode, AES-256-CBC. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../test/lab/command.js";
import type { Host } from "../../test/lab/lab.js";
import { addressOn, type Contestant, hasDevice, inner, versionOf } from "./contestant.js";

const device = "tinc0";

async function prepare(host: Host, binary: string, address: string, connectTo?: string): Promise<string> {
  const folder = join(host.folder, "tinc");
  mkdirSync(join(folder, "hosts"), { recursive: true });
  const lines = [
    `Name = ${host.name}`,
    "Mode = router",
    "DeviceType = tun",
    `Interface = ${device}`,
    "AddressFamily = ipv4",
    ...(connectTo === undefined ? [] : [`ConnectTo = ${connectTo}`]),
  ];
  writeFileSync(join(folder, "tinc.conf"), `${lines.join("\n")}\n`);
  writeFileSync(join(folder, "hosts", host.name), `Address = ${host.address}\nSubnet = ${address}/32\n`);
  const made = await host.exec(binary, ["-c", folder, "-K", "2048"]);
  if (made.code !== 0) throw new Error(`tinc makes no keys: ${made.stderr}`);
  return folder;
}

export async function tinc(binary: string): Promise<Contestant> {
  return {
    name: "tinc",
    version: `${await versionOf(binary, ["--version"], /tinc version (\S+)/)}, AES-256-CBC`,
    async start({ a, b }) {
      const folders = {
        b: await prepare(b, binary, inner.b),
        a: await prepare(a, binary, inner.a, b.name),
      };
      copyFileSync(join(folders.a, "hosts", a.name), join(folders.b, "hosts", a.name));
      copyFileSync(join(folders.b, "hosts", b.name), join(folders.a, "hosts", b.name));
      for (const [host, folder, address] of [
        [b, folders.b, inner.b],
        [a, folders.a, inner.a],
      ] as const) {
        host.spawn("tinc", binary, ["-c", folder, "-D", "-d3", `--pidfile=${join(host.folder, "tinc.pid")}`]);
        await waitFor(() => hasDevice(host, device), 10_000, `${host.name} has ${device}`);
        await addressOn(host, device, address);
      }
      return { address: inner.b, device };
    },
  };
}
