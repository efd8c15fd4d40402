/** Runs inside a network namespace of its own (packet-port.test.ts): a carrier that takes nothing for a while; prints what came of it. */
import { createSocket } from "node:dgram";
import type { PacketBatch } from "../../../src/daemon/core/packet-port.js";
import { openTun } from "../../../src/daemon/io/native.js";
import { createPacketPort } from "../../../src/daemon/io/packet-port.js";
import { must, waitFor } from "../../lab/command.js";

export interface PortPressure {
  sent: number;
  heldBatches: number;
  heldPackets: number;
  received: number;
  inOrder: boolean;
  /** All that was sent after the carrier took again. */
  lateReceived: number;
  late: number;
  grownBytes: number;
}

const count = 40_000;
const late = 200;
const device = openTun({ name: "pressure%d" });
const port = createPacketPort({ tunFd: device.fd, mtu: 1400, items: "packets" });
const held: PacketBatch[] = [];
port.onPackets = (batch) => held.push(batch);
port.start();
await must("ip", ["address", "add", "10.79.0.1/24", "dev", device.name]);
await must("ip", ["link", "set", device.name, "mtu", "1400", "up"]);
const socket = createSocket("udp4");
let sent = 0;

/** A number in 1000 bytes. */
async function send(packets: number): Promise<void> {
  for (let i = 0; i < packets; i++) {
    const data = Buffer.alloc(1000);
    data.writeUInt32BE(sent++);
    await new Promise((done) => socket.send(data, 9, "10.79.0.2", done));
  }
}

const numbers: number[] = [];
function take(batch: PacketBatch): void {
  let from = 0;
  for (const end of batch.ends) {
    // What the kernel itself says (IPv6, IGMP) is no datagram of ours.
    if (batch.data[from] === 0x45 && batch.data[from + 9] === 17)
      numbers.push(Buffer.from(batch.data.buffer, batch.data.byteOffset + from + 28, 4).readUInt32BE());
    from = end;
  }
  batch.release();
}

await send(2000);
const before = process.memoryUsage().rss;
await send(count - sent);
const grownBytes = process.memoryUsage().rss - before;
const heldBatches = held.length;
const heldPackets = held.reduce((sum, batch) => sum + batch.ends.length, 0);
port.onPackets = take;
for (const batch of held.splice(0)) take(batch);
// The first ones may find the kernel's queue full still.
await waitFor(
  async () => {
    const arrived = numbers.at(-1) === sent - 1;
    if (!arrived) await send(1);
    return arrived;
  },
  10_000,
  "a packet after the pause",
);
const received = numbers.length;
await send(late);
await waitFor(() => numbers.at(-1) === sent - 1, 10_000, "the last packet");
const scene: PortPressure = {
  sent: count,
  heldBatches,
  heldPackets,
  received,
  inOrder: numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0)),
  lateReceived: numbers.length - received,
  late,
  grownBytes,
};
socket.close();
await port.stop();
console.log(JSON.stringify(scene));
