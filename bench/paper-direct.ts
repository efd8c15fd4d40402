/** The paper's first experiment: two hosts on a link of 1 Gbit/s, each behind a NAT; directly through forwarded ports, and the mesh without. */
import { Lab } from "../test/lab/lab.js";
import { iexd, iexPort, pskGenerate, vpnd } from "../test/lab/programs.js";
import { port, tcp } from "./iperf.js";
import { median } from "./statistics.js";

export interface DirectResult {
  /** Bits a second. */
  direct: number[];
  mesh: number[];
  ratio: number;
}

const tunnel = "10.97.0";

export async function measureDirect(rounds: number, seconds: number): Promise<DirectResult> {
  const lab = await Lab.create("bench-direct");
  try {
    const server = await lab.publicHost("server");
    await iexd(server);
    const routers = [
      await lab.router("ra", "port-restricted"),
      await lab.router("rb", "port-restricted"),
    ] as const;
    const a = await lab.hostBehind("a", routers[0]);
    const b = await lab.hostBehind("b", routers[1]);
    for (const host of [a, b]) await lab.shape(host, "1gbit", "256kb");
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
    const [da, db] = await Promise.all([vpnd(a), vpnd(b)]);
    await Promise.all([
      da.join({ ...common, vip: `${tunnel}.1/24` }),
      db.join({ ...common, vip: `${tunnel}.2/24` }),
    ]);
    await Promise.all([da.peerUp(`${tunnel}.2`), db.peerUp(`${tunnel}.1`)]);
    const result: DirectResult = { direct: [], mesh: [], ratio: Number.NaN };
    for (let round = 0; round < rounds; round++) {
      // Open for the direct run only, as in the paper: the mesh gets through by itself.
      await routers[1].nft(forwarded(b.address));
      result.direct.push((await tcp({ a, b }, routers[1].publicAddress, seconds, { bind: b.address })).bps);
      await routers[1].nft("delete table inet forwarded");
      result.mesh.push((await tcp({ a, b }, `${tunnel}.2`, seconds)).bps);
    }
    result.ratio = median(result.mesh) / median(result.direct);
    return result;
  } finally {
    await lab.close();
  }
}

/** What comes to the router's port goes to the host; accepting it here would not help against the drop of the router's own table. */
function forwarded(to: string): string {
  return `table inet forwarded {
  chain prerouting {
    type nat hook prerouting priority -100;
    iifname "wan" tcp dport ${port} dnat ip to ${to}
  }
}
insert rule inet lab forward ct status dnat accept
`;
}
