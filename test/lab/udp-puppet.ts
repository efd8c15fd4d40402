/**
 * A UDP socket inside a host that does what a test tells it: lines "ADDRESS PORT TEXT" on standard input are sent,
 * what arrives is printed as "ADDRESS PORT TEXT".
 */
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { waitFor } from "./command.js";
import { type Host, repository } from "./lab.js";
import type { Running } from "./machine.js";

export class UdpPuppet {
  private constructor(readonly program: Running) {}

  /** @param address that it has; absent: all of the host */
  static async start(host: Host, port: number, address = "0.0.0.0"): Promise<UdpPuppet> {
    const script = fileURLToPath(import.meta.url);
    const args = [
      "--import",
      `${repository}/node_modules/tsx/dist/loader.mjs`,
      script,
      String(port),
      address,
    ];
    const program = host.spawn("udp", process.execPath, args, { stdin: true });
    await host.listening(program, "udp", port);
    return new UdpPuppet(program);
  }

  send(address: string, port: number, text: string): void {
    this.program.stdin.write(`${address} ${port} ${text}\n`);
  }

  /** Where a text came from, if it has arrived. */
  received(text: string): { address: string; port: number } | undefined {
    for (const line of this.program.log.split("\n")) {
      const [address, port, data] = line.split(" ");
      if (data === text && address !== undefined) return { address, port: Number(port) };
    }
    return undefined;
  }

  async receive(text: string, deadlineMs = 5_000): Promise<{ address: string; port: number }> {
    return waitFor(() => this.received(text), deadlineMs, `${this.program.name} receives "${text}"`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const socket = createSocket("udp4");
  socket.on("message", (data, from) => {
    process.stdout.write(`${from.address} ${from.port} ${data.toString()}\n`);
  });
  socket.bind(Number(process.argv[2]), process.argv[3] ?? "0.0.0.0");
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [address, port, text] = line.split(" ");
    socket.send(text ?? "", Number(port), address, () => undefined);
  });
}
