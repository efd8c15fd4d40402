/** What crosses a device, by tcpdump, and its packets again. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine, Running } from "./machine.js";

const fileHeader = 24;
const recordHeader = 16;

export class Capture {
  private constructor(
    readonly program: Running,
    readonly file: string,
  ) {}

  /**
   * @param direction seen from the host: `out` is what it sends
   * @param largest bytes of a packet; what tcpdump has room for is so much the less
   */
  static async start(
    host: Machine,
    device: string,
    direction: "in" | "out",
    filter = "",
    largest = 66_000,
  ): Promise<Capture> {
    const file = join(host.folder, `${device}-${direction}.pcap`);
    const room = ["-s", String(largest), "-B", String(128 << 10)];
    const how = ["-i", device, "-Q", direction, ...room, "--immediate-mode", "-Z", "root", "-U"];
    const program = host.spawn("tcpdump", "tcpdump", [
      ...how,
      "-w",
      file,
      ...(filter === "" ? [] : [filter]),
    ]);
    await program.until(() => /listening on/.test(program.log), 20_000, "tcpdump listens");
    return new Capture(program, file);
  }

  /** The packets; the capture is over then. @throws Error when tcpdump missed any */
  async packets(): Promise<Buffer[]> {
    this.program.kill("SIGINT");
    await this.program.ended();
    if (!/^0 packets dropped by kernel/m.test(this.program.log)) throw new Error(this.program.log);
    const bytes = readFileSync(this.file);
    const packets: Buffer[] = [];
    for (let at = fileHeader; at + recordHeader <= bytes.length; ) {
      const length = bytes.readUInt32LE(at + 8);
      packets.push(bytes.subarray(at + recordHeader, at + recordHeader + length));
      at += recordHeader + length;
    }
    return packets;
  }
}
