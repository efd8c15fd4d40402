/**
 * A UDP socket inside a host that does what a test tells it: lines "ADDRESS PORT TEXT" on standard input are sent,
 * what arrives is printed as "ADDRESS PORT TEXT".
 */
import { waitFor } from "./command.js";
import type { Host } from "./lab.js";
import type { Running } from "./machine.js";

/** In plain JavaScript, which is there at once: labs start many. Arguments: port, address. */
const program = `
  const [, port, own] = process.argv;
  const socket = require("node:dgram").createSocket(own.includes(":") ? "udp6" : "udp4");
  socket.on("message", (data, from) => console.log(from.address, from.port, data.toString()));
  socket.bind(Number(port), own);
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const [address, port, text = ""] = line.split(" ");
    socket.send(text, Number(port), address, () => {});
  });`;

export class UdpPuppet {
  private constructor(readonly program: Running) {}

  /** @param address that it has, or 0.0.0.0 or :: for all of its family */
  static async start(host: Host, port: number, address = "0.0.0.0"): Promise<UdpPuppet> {
    const args = ["-e", program, String(port), address];
    const running = host.spawn("udp", process.execPath, args, { stdin: true });
    await host.listening(running, "udp", port);
    return new UdpPuppet(running);
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

  async receive(text: string, deadlineMs = 30_000): Promise<{ address: string; port: number }> {
    return waitFor(() => this.received(text), deadlineMs, `${this.program.name} receives "${text}"`);
  }
}
