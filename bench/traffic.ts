/** The tunnel against the path under it: round trips, and one TCP stream. Both ends on this machine, taken in turn. */
import { must } from "../test/lab/command.js";
import { type Host, Lab } from "../test/lab/lab.js";
import { iexd, iexPort, pskGenerate, vpnd } from "../test/lab/programs.js";
import { iperf } from "../test/lab/traffic.js";
import { median } from "./statistics.js";

export interface TrafficResult {
  /** Medians, seconds. */
  rttRawSeconds: number;
  rttTunnelSeconds: number;
  /** Medians, bits a second. */
  tcpRawBps: number;
  tcpTunnelBps: number;
}

const tunnelIp = "10.95.0.2";

/** @param rounds at least 3 @param seconds of each TCP stream */
export async function measureTraffic(rounds: number, seconds: number): Promise<TrafficResult> {
  const lab = await Lab.create("bench-traffic");
  try {
    const [a, b] = [await lab.publicHost("a"), await lab.publicHost("b")];
    for (const host of [a, b]) await withoutOffloads(host);
    const serverHost = await lab.publicHost("server");
    await iexd(serverHost);
    const common = { iex: `${serverHost.address}:${iexPort}`, psk: await pskGenerate() };
    const [da, db] = await Promise.all([vpnd(a), vpnd(b)]);
    await Promise.all([
      da.join({ ...common, vip: "10.95.0.1/24" }),
      db.join({ ...common, vip: `${tunnelIp}/24` }),
    ]);
    await Promise.all([da.peerUp(tunnelIp), db.peerUp("10.95.0.1")]);
    const rtt = { raw: [] as number[], tunnel: [] as number[] };
    const tcp = { raw: [] as number[], tunnel: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      rtt.raw.push(...(await roundTrips(a, b.address)));
      rtt.tunnel.push(...(await roundTrips(a, tunnelIp)));
      tcp.raw.push(await iperf(a, b, b.address, { seconds }));
      tcp.tunnel.push(await iperf(a, b, tunnelIp, { seconds }));
    }
    return {
      rttRawSeconds: median(rtt.raw),
      rttTunnelSeconds: median(rtt.tunnel),
      tcpRawBps: median(tcp.raw),
      tcpTunnelBps: median(tcp.tunnel),
    };
  } finally {
    await lab.close();
  }
}

/** Otherwise a "packet" between namespaces is up to 64 KiB that nobody ever cuts: no network has that. */
async function withoutOffloads(host: Host): Promise<void> {
  const off = ["tso", "off", "gso", "off", "gro", "off"];
  await must("ip", ["netns", "exec", host.netns, "ethtool", "-K", "eth0", ...off]);
}

async function roundTrips(from: Host, to: string): Promise<number[]> {
  const { stdout } = await from.exec("ping", ["-n", "-c", "200", "-i", "0.01", to]);
  const seconds = [...stdout.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) / 1000);
  if (seconds.length < 150) throw new Error(`only ${seconds.length} of 200 pings to ${to} were answered`);
  return seconds;
}
