/** iperf3 and ping between the two ends of a tunnel. TCP is always cubic: BBR, where it is the default, would measure its own pacing. */
import type { Host } from "../test/lab/lab.js";

/** a calls, b listens. */
export interface Ends {
  a: Host;
  b: Host;
}

export const port = "5201";

interface Sum {
  bits_per_second: number;
  bytes: number;
  retransmits?: number;
}
interface UdpEnd {
  packets: number;
  lost_packets: number;
  seconds: number;
}
interface Report {
  error?: string;
  end: { sum_sent: Sum; sum_received: Sum; streams: { udp?: UdpEnd }[] };
  server_output_json?: { end: { streams: { udp?: UdpEnd }[] } };
}

/** Where a server listens when clients call it by another address than its own (port forwarding). */
interface Place {
  bind?: string;
}

async function report(
  from: Host,
  to: Host,
  address: string,
  seconds: number,
  more: string[],
  { bind = address }: Place = {},
): Promise<Report> {
  const server = to.spawn("iperf3", "iperf3", ["-s", "-1", "-J", "-B", bind, "-p", port]);
  try {
    await to.listening(server, "tcp", Number(port));
    const args = ["-c", address, "-p", port, "-J", "-t", String(seconds), ...more];
    const result = await from.exec("iperf3", args, { timeoutMs: (seconds + 20) * 1000 });
    if (result.code !== 0) {
      const said = /"error":\s*"([^"]*)"/.exec(result.stdout)?.[1] ?? result.stderr.trim();
      throw new Error(`iperf3: ${said === "" ? `exit ${result.code}` : said}`);
    }
    return JSON.parse(result.stdout) as Report;
  } finally {
    server.kill("SIGTERM");
    await server.ended();
  }
}

export interface TcpResult {
  /** Bits a second, as the receiver saw them. */
  bps: number;
  bytes: number;
  retransmits: number;
}

/** @param reverse the far end sends @param most bits a second that are offered; absent: all that goes */
export async function tcp(
  { a, b }: Ends,
  address: string,
  seconds: number,
  options: Place & { streams?: number; reverse?: boolean; most?: number } = {},
): Promise<TcpResult> {
  const more = ["-C", "cubic"];
  if (options.streams !== undefined) more.push("-P", String(options.streams));
  if (options.reverse === true) more.push("-R");
  if (options.most !== undefined) more.push("-b", String(Math.round(options.most)));
  const { end } = await report(a, b, address, seconds, more, options);
  return {
    bps: end.sum_received.bits_per_second,
    bytes: end.sum_received.bytes,
    retransmits: end.sum_sent.retransmits ?? Number.NaN,
  };
}

export interface FloodResult {
  sentPps: number;
  receivedPps: number;
}

/** UDP with 64 bytes in each packet, as fast as one sender can. */
export async function smallPackets({ a, b }: Ends, address: string, seconds: number): Promise<FloodResult> {
  const flood = ["-u", "-b", "0", "-l", "64", "--get-server-output"];
  const answer = await report(a, b, address, seconds, flood);
  const sent = answer.end.streams[0]?.udp;
  const received = answer.server_output_json?.end.streams[0]?.udp;
  if (sent === undefined || received === undefined) throw new Error("iperf3: no report of the receiver");
  return {
    sentPps: sent.packets / sent.seconds,
    receivedPps: (received.packets - received.lost_packets) / sent.seconds,
  };
}

export interface RoundTrips {
  /** Seconds. */
  min: number;
  average: number;
  deviation: number;
}

/** 500 a second for some seconds, with nothing else to do. */
export async function roundTrips({ a }: Ends, address: string, seconds: number): Promise<RoundTrips> {
  const count = String(Math.max(100, Math.round(seconds * 500)));
  const { stdout } = await a.exec("ping", ["-n", "-q", "-i", "0.002", "-c", count, address]);
  const match = /= ([\d.]+)\/([\d.]+)\/[\d.]+\/([\d.]+) ms/.exec(stdout);
  if (match === null) throw new Error(`ping: no answers of ${address}`);
  const [min = Number.NaN, average = Number.NaN, deviation = Number.NaN] = match
    .slice(1)
    .map((text) => Number(text) / 1000);
  return { min, average, deviation };
}
