/** Real traffic between hosts: ping, iperf3, and a file over TCP with its checksum. */
import { createHash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { waitFor } from "./command.js";
import { type Host, repository } from "./lab.js";
import type { Running } from "./machine.js";

export interface PingResult {
  /** As many as were asked for. */
  sent: number;
  /** Answers to these. */
  received: number;
  /** Average round trip; absent without answers. */
  avgSeconds?: number;
  /** What ping printed, with ICMP errors. */
  output: string;
}

/** Seconds for all answers: on a busy machine the last one may be late, which is no loss. */
const answersWithin = 20;

/**
 * Ends when all are answered, or with an error that the network tells.
 * @param options.waitSeconds for where no answer is expected: as many are sent and no more, and that long after the last one it is over
 * @param options.size bytes of ICMP payload; `dontFragment` sets DF on the inner packet
 */
export async function ping(
  from: Host,
  to: string,
  options: { count?: number; size?: number; dontFragment?: boolean; waitSeconds?: number } = {},
): Promise<PingResult> {
  const { count = 3, waitSeconds } = options;
  // Without -w it would wait for no more than 0.2 s after the last one, once another was answered. With it, it sends more meanwhile.
  const patience = waitSeconds === undefined ? ["-w", `${answersWithin}`] : ["-W", `${waitSeconds}`];
  const args = ["-n", "-c", `${count}`, "-i", "0.2", ...patience];
  if (options.size !== undefined) args.push("-s", String(options.size));
  if (options.dontFragment === true) args.push("-M", "do");
  const { stdout, stderr } = await from.exec("ping", [...args, to]);
  const answered = [...stdout.matchAll(/bytes from .*icmp_seq=(\d+)/g)].map((one) => Number(one[1]));
  const average = /= [\d.]+\/([\d.]+)\//.exec(stdout)?.[1];
  return {
    sent: count,
    received: new Set(answered.filter((number) => number <= count)).size,
    ...(average === undefined ? {} : { avgSeconds: Number(average) / 1000 }),
    output: stdout + stderr,
  };
}

/** Waits for the first answered ping; then the way is open in both directions. */
export async function reachable(from: Host, to: string, deadlineMs = 30_000): Promise<void> {
  await waitFor(
    async () => (await ping(from, to, { count: 1, waitSeconds: 1 })).received > 0,
    deadlineMs,
    `${from.name} reaches ${to}`,
  );
}

const iperfPort = 5201;

/**
 * TCP for some seconds, one stream unless told; the answer is what the receiver saw, in bits a second.
 * Cubic, because the default of this kernel may be BBR, which measures itself rather than the tunnel.
 */
export async function iperf(
  from: Host,
  to: Host,
  address: string,
  options: { seconds?: number; reverse?: boolean; streams?: number } = {},
): Promise<number> {
  const server = to.spawn("iperf3", "iperf3", ["-s", "-1", "-p", String(iperfPort)]);
  await to.listening(server, "tcp", iperfPort);
  const args = [
    "-c",
    address,
    "-p",
    String(iperfPort),
    "-J",
    "-C",
    "cubic",
    "-t",
    String(options.seconds ?? 2),
    "-P",
    String(options.streams ?? 1),
  ];
  if (options.reverse === true) args.push("-R");
  const result = await from.exec("iperf3", args, { timeoutMs: 30_000 });
  if (result.code !== 0) {
    server.kill("SIGTERM");
    await server.ended();
    throw new Error(`iperf3 failed: ${result.stdout.slice(0, 500)} ${result.stderr}`);
  }
  await server.ended();
  const report = JSON.parse(result.stdout) as { end: { sum_received: { bits_per_second: number } } };
  return report.end.sum_received.bits_per_second;
}

const copyPort = 7000;

export interface CopyResult {
  bytes: number;
  sentSha256: string;
  receivedSha256: string;
  seconds: number;
}

/** Sends random bytes over one TCP connection; both ends hash what they see. */
export async function copyFile(
  from: Host,
  to: Host,
  address: string,
  bytes: number,
  timeoutMs = 90_000,
): Promise<CopyResult> {
  const receiver = startEnd(to, "receive", ["receive", String(copyPort)]);
  await to.listening(receiver, "tcp", copyPort);
  const start = performance.now();
  const sender = startEnd(from, "send", ["send", address, String(copyPort), String(bytes)]);
  try {
    await sender.until(() => /sha256/.test(sender.log) && sender.code === 0, timeoutMs, "all bytes are sent");
    await receiver.until(() => /sha256/.test(receiver.log), timeoutMs, "all bytes are received");
  } finally {
    sender.kill("SIGKILL");
    receiver.kill("SIGKILL");
  }
  const read = (program: Running) => {
    const match = /(\d+) sha256 ([0-9a-f]{64})/.exec(program.log);
    return { bytes: Number(match?.[1] ?? 0), hash: match?.[2] ?? "" };
  };
  const received = read(receiver);
  return {
    bytes: received.bytes,
    sentSha256: read(sender).hash,
    receivedSha256: received.hash,
    seconds: (performance.now() - start) / 1000,
  };
}

function startEnd(host: Host, name: string, args: readonly string[]): Running {
  const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
  return host.spawn(name, process.execPath, ["--import", loader, fileURLToPath(import.meta.url), ...args]);
}

function receive(port: number): void {
  const server = createServer((socket) => {
    const hash = createHash("sha256");
    let count = 0;
    socket.on("data", (data) => {
      hash.update(data);
      count += data.length;
    });
    socket.once("end", () => {
      process.stdout.write(`${count} sha256 ${hash.digest("hex")}\n`);
      socket.end();
      server.close();
    });
  });
  server.listen(port, "::");
}

async function send(address: string, port: number, bytes: number): Promise<void> {
  const socket = connect(port, address);
  await once(socket, "connect");
  const hash = createHash("sha256");
  for (let left = bytes; left > 0; ) {
    const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(left, 1 << 16)));
    left -= chunk.length;
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, "drain");
  }
  socket.end();
  socket.resume();
  await once(socket, "close");
  process.stdout.write(`${bytes} sha256 ${hash.digest("hex")}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [mode, ...args] = process.argv.slice(2);
  if (mode === "receive") receive(Number(args[0]));
  else await send(args[0] ?? "", Number(args[1]), Number(args[2]));
}
