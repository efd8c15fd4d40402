/** The paper's second experiment: two nodes near each other, and a server far from both that a star sends everything through. */
import { join } from "node:path";
import { type Host, Lab } from "../test/lab/lab.js";
import { iexd, iexPort, pskGenerate, vpnd } from "../test/lab/programs.js";
import { reachable } from "../test/lab/traffic.js";
import { findProgram } from "./contestants/contestant.js";
import { certificate, openvpnPort } from "./contestants/openvpn.js";
import { putAway } from "./delay-line.js";
import { roundTrips, tcp } from "./iperf.js";
import { median } from "./statistics.js";

export interface StarRow {
  name: string;
  /** Bits a second. */
  tcp: number[];
  /** Seconds. */
  ping: number[];
}

export interface StarResult {
  /** Round trips that the lab was built for, milliseconds. */
  nearMs: number;
  farMs: number;
  delayedBy: string;
  /** What the process that delays carried, if one did. */
  carried?: string;
  rows: StarRow[];
  /** Of the star that is an ordinary VPN; absent without it. */
  meshOverStar?: number;
  /** Of the best that a star could be. */
  meshOverRouted: number;
}

export interface StarOptions {
  rounds: number;
  seconds: number;
  /** Round trip between the nodes, milliseconds. */
  nearMs: number;
  /** Between a node and the server. */
  farMs: number;
  openvpn?: string | undefined;
}

interface Scene {
  lab: Lab;
  a: Host;
  b: Host;
  s: Host;
}

/** A way between the nodes: where a finds b. */
interface Way {
  name: string;
  address: string;
}

export async function measureStar(options: StarOptions): Promise<StarResult> {
  const lab = await Lab.create("bench-star");
  try {
    const scene = {
      lab,
      a: await lab.publicHost("a"),
      b: await lab.publicHost("b"),
      s: await lab.publicHost("server"),
    };
    const { a, b, s } = scene;
    for (const host of [a, b, s]) await lab.shape(host, "1gbit", "256kb");
    const half = options.nearMs / 4;
    const delays = await putAway(lab, [
      { host: a, ms: half },
      { host: b, ms: half },
      { host: s, ms: options.farMs / 2 - half },
    ]);
    const program = findProgram("openvpn", options.openvpn);
    const ways: Way[] = [
      { name: "direct, no VPN", address: b.address },
      { name: "mesh: vpnd", address: await mesh(scene) },
      { name: "star: routed by the server, no VPN", address: await routedStar(scene) },
    ];
    if (program !== undefined)
      ways.push({ name: "star: openvpn", address: await openvpnStar(scene, program) });
    const rows: StarRow[] = ways.map(({ name }) => ({ name, tcp: [], ping: [] }));
    for (const { address } of ways) await reachable(a, address);
    for (let round = 0; round < options.rounds; round++)
      for (const [index, { address }] of ways.entries()) {
        rows[index]?.tcp.push((await tcp(scene, address, options.seconds)).bps);
        rows[index]?.ping.push((await roundTrips(scene, address, 1)).average);
      }
    const carried = await delays.end();
    const [, ours = Number.NaN, routed = Number.NaN, star] = rows.map((row) => median(row.tcp));
    return {
      nearMs: options.nearMs,
      farMs: options.farMs,
      delayedBy: delays.by,
      ...(carried === undefined ? {} : { carried }),
      rows,
      ...(star === undefined ? {} : { meshOverStar: ours / star }),
      meshOverRouted: ours / routed,
    };
  } finally {
    await lab.close();
  }
}

async function mesh({ a, b, s }: Scene): Promise<string> {
  await iexd(s);
  const common = { iex: `${s.address}:${iexPort}`, psk: await pskGenerate() };
  const [da, db] = await Promise.all([vpnd(a), vpnd(b)]);
  await Promise.all([
    da.join({ ...common, vip: "10.98.0.1/24" }),
    db.join({ ...common, vip: "10.98.0.2/24" }),
  ]);
  await Promise.all([da.peerUp("10.98.0.2"), db.peerUp("10.98.0.1")]);
  return "10.98.0.2";
}

async function routedStar({ a, b, s }: Scene): Promise<string> {
  await s.sysctl("net.ipv4.ip_forward", "1");
  // It would tell the nodes that there is a shorter way, which is the point.
  for (const scope of ["all", "eth0"]) await s.sysctl(`net.ipv4.conf.${scope}.send_redirects`, "0");
  for (const [host, own, far] of [
    [a, "10.99.1.1", "10.99.2.1"],
    [b, "10.99.2.1", "10.99.1.1"],
  ] as const) {
    await host.ip("addr", "add", `${own}/32`, "dev", "lo");
    await host.ip("route", "add", `${far}/32`, "via", s.address, "src", own);
    await s.ip("route", "add", `${own}/32`, "via", host.address);
  }
  return "10.99.2.1";
}

async function openvpnStar({ a, b, s }: Scene, binary: string): Promise<string> {
  const [own, far, server] = [await certificate(a), await certificate(b), await certificate(s)];
  const common = [
    ...["--dev", "tun1", "--dev-type", "tun", "--proto", "udp", "--topology", "subnet", "--auth-nocache"],
    ...["--verb", "3", "--data-ciphers", "AES-128-GCM", "--disable-dco"],
  ];
  const pool = ["--server", "10.100.0.0", "255.255.255.0", "--client-to-client", "--keepalive", "10", "60"];
  const known = ["--peer-fingerprint", own.fingerprint, "--peer-fingerprint", far.fingerprint];
  const persist = ["--ifconfig-pool-persist", join(s.folder, "pool.txt")];
  s.spawn("openvpn", binary, [
    ...common,
    ...["--local", s.address, "--port", openvpnPort, "--dh", "none"],
    ...[...pool, ...persist, ...server.args, ...known],
  ]);
  for (const [host, certified] of [
    [a, own],
    [b, far],
  ] as const) {
    const program = host.spawn("openvpn", binary, [
      ...common,
      ...["--client", "--remote", s.address, openvpnPort, "--nobind", ...certified.args],
      ...["--peer-fingerprint", server.fingerprint],
    ]);
    await program.until(
      () => program.log.includes("Initialization Sequence Completed"),
      30_000,
      "it is connected",
    );
  }
  const address = /inet (10\.100\.0\.\d+)/.exec(await b.ip("-4", "addr", "show", "dev", "tun1"))?.[1];
  if (address === undefined) throw new Error("openvpn gave no address");
  return address;
}
