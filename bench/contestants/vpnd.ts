/** Ourselves: iexd beside a, a vpnd on each side. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../test/lab/command.js";
import { repository } from "../../test/lab/lab.js";
import { Daemon, iexd, iexPort, pskGenerate } from "../../test/lab/programs.js";
import type { Pair } from "../pair.js";
import { type Contestant, inner } from "./contestant.js";

/** @param config of vpnd (docs/config.md) */
export async function startVpnd(pair: Pair, config: string): Promise<{ address: string; device: string }> {
  await iexd(pair.a);
  const psk = await pskGenerate();
  const daemons = await Promise.all(
    [pair.a, pair.b].map(async (host) => {
      const daemon = new Daemon(host);
      const file = join(host.folder, "bench.toml");
      writeFileSync(file, config, { mode: 0o600 });
      await daemon.start(config === "" ? [] : ["--config", file]);
      return daemon;
    }),
  );
  const [a, b] = daemons;
  if (a === undefined || b === undefined) throw new Error("a pair has two ends");
  const common = { iex: `${pair.a.address}:${iexPort}`, psk };
  await Promise.all([
    a.join({ ...common, vip: `${inner.a}/24` }),
    b.join({ ...common, vip: `${inner.b}/24` }),
  ]);
  await Promise.all([a.peerUp(inner.b), b.peerUp(inner.a)]);
  return { address: inner.b, device: (await a.peers()).self.device };
}

export async function ourselves(): Promise<Contestant[]> {
  const { stdout } = await run("git", ["-C", repository, "rev-parse", "--short", "HEAD"]);
  const version = stdout.trim();
  return [
    { name: "vpnd", version, start: (pair) => startVpnd(pair, "") },
    {
      name: "vpnd-openssl",
      version: `${version}, records by OpenSSL`,
      start: (pair) => startVpnd(pair, '[engine]\ncrypto = "openssl"\n'),
    },
  ];
}
