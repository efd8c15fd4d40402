/** Memory and processor time of programs that have nothing to do but to stay in touch. All are measured in the same minute. */
import { setTimeout as delay } from "node:timers/promises";
import { waitFor } from "../test/lab/command.js";
import { Lab } from "../test/lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../test/lab/programs.js";
import { type Cost, costs } from "./process-cost.js";
import { startSwarm } from "./swarm.js";

export interface IdleRow extends Cost {
  name: string;
}

const serverNodes = 100;
/** Until what a start allocates is settled and collected. */
const settleMs = 20_000;

/** @param seconds how long is measured */
export async function measureIdle(seconds: number): Promise<IdleRow[]> {
  const lab = await Lab.create("bench-idle");
  try {
    const subjects: { name: string; pid: number }[] = [];
    const empty = await vpnd(await lab.publicHost("empty"));
    subjects.push({ name: "vpnd, no network", pid: empty.program.pid });
    for (const peers of [0, 2, 50]) {
      const daemon = await connected(lab, peers);
      subjects.push({ name: `vpnd, 1 network, ${peers} peers`, pid: daemon.program.pid });
    }
    const host = await lab.publicHost("crowded");
    const server = await iexd(host);
    const orders = { kind: "heartbeats", count: serverNodes, prefix: "10.90.0", psk: "" } as const;
    await startSwarm(await lab.publicHost("crowd"), { ...orders, server: `${host.address}:${iexPort}` });
    subjects.push({ name: `iexd, ${serverNodes} nodes`, pid: server.pid });
    await delay(settleMs);
    const measured = await costs(
      subjects.map((subject) => subject.pid),
      () => delay(seconds * 1000),
    );
    return subjects.flatMap(({ name }, index) => {
      const cost = measured[index];
      return cost === undefined ? [] : [{ name, ...cost }];
    });
  } finally {
    await lab.close();
  }
}

/** A vpnd with so many living tunnels, in a mesh of its own. */
async function connected(lab: Lab, peers: number): Promise<Daemon> {
  const serverHost = await lab.publicHost(`server${peers}`);
  await iexd(serverHost);
  const server = `${serverHost.address}:${iexPort}`;
  const psk = await pskGenerate();
  const daemon = await vpnd(await lab.publicHost(`node${peers}`));
  // The largest address: it dials all others.
  await daemon.join({ iex: server, psk, vip: "10.80.0.250/24" });
  if (peers === 0) return daemon;
  const swarmHost = await lab.publicHost(`swarm${peers}`);
  await startSwarm(swarmHost, { kind: "engines", count: peers, prefix: "10.80.0", server, psk });
  await waitFor(
    async () => (await daemon.peers()).peers.filter((peer) => peer.state === "up").length === peers,
    60_000,
    `${peers} peers are up`,
  );
  return daemon;
}
