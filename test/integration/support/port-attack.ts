/** Runs inside a network namespace of its own (packet-port.test.ts): writes what a hostile carrier might; prints what came of it. */
import { randomFillSync, randomInt } from "node:crypto";
import type { PortItems } from "../../../src/daemon/core/packet-port.js";
import { openTun } from "../../../src/daemon/io/native.js";
import { createPacketPort } from "../../../src/daemon/io/packet-port.js";
import { must, run, waitFor } from "../../lab/command.js";

export interface PortAttack {
  items: number;
  passed: number;
  drops: Record<string, number>;
  /** Packets that the kernel counted as received, errors among them. */
  kernel: number;
  responds: boolean;
  /** Exit code of a ping to the device's own address afterwards. */
  alive: number;
  /** Errors after the device was deleted. */
  gone: number;
}

/** Random bytes, often with a right IP header, and for super-packets with a header that may fit it. */
function hostile(kind: PortItems): Uint8Array {
  const bytes = randomFillSync(Buffer.alloc(randomInt(randomInt(2) ? 200 : 20_000)));
  const before = kind === "supers" ? 10 : 0;
  const ip = bytes.subarray(before);
  if (ip.length < 100 || randomInt(4) === 0) return bytes;
  const six = randomInt(2) === 0;
  const udp = randomInt(2) === 0;
  const transport = six ? 40 : 20;
  if (six) {
    ip[0] = 0x60;
    ip.writeUInt16BE(ip.length - 40, 4);
    ip[6] = udp ? 17 : 6;
    ip[24] = 0xff;
  } else {
    ip[0] = randomInt(3) === 0 ? 0x46 : 0x45;
    ip.writeUInt16BE(ip.length, 2);
    ip.writeUInt16BE(0x4000, 6);
    ip[9] = udp ? 17 : 6;
    ip.set([10, 79, 0, 1], 16);
  }
  ip[transport + 12] = 0x50;
  if (before > 0 && randomInt(4) > 0) {
    bytes[0] = 1;
    bytes[1] = udp ? 5 : six ? 4 : 1;
    bytes.writeUInt16LE(randomInt(3) === 0 ? randomInt(65_536) : randomInt(2000), 4);
    bytes.writeUInt16LE(transport, 6);
    bytes.writeUInt16LE(udp ? 6 : 16, 8);
    const flip = randomInt(3) === 0 ? randomInt(10) : -1;
    if (flip >= 0) bytes[flip] = randomInt(256);
  }
  return bytes;
}

const kind = process.argv[2] as PortItems;
const device = openTun({ name: "hostile%d", tap: kind === "frames" });
const port = createPacketPort({ tunFd: device.fd, mtu: 1400, items: kind });
port.start();
await must("ip", ["link", "set", "lo", "up"]);
await must("ip", ["address", "add", "10.79.0.1/24", "dev", device.name]);
await must("ip", ["link", "set", device.name, "mtu", "1400", "up"]);

let items = 0;
for (let round = 0; round < 3000; round++) {
  const batch = Array.from({ length: randomInt(1, 8) }, () => hostile(kind));
  let end = 0;
  const ends = batch.map((item) => {
    end += item.length;
    return end;
  });
  port.write(Buffer.concat(batch), Uint32Array.from(ends));
  items += batch.length;
}
const before = port.counters().drops["bad-batch"] ?? 0;
for (let round = 0; round < 3000; round++)
  port.write(
    randomFillSync(Buffer.alloc(64)),
    Uint32Array.from({ length: 4 }, () => randomInt(randomInt(2) ? 100 : 2 ** 32)),
  );
const { rxPackets, drops } = port.counters();
const statistics = JSON.parse(await must("ip", ["-s", "-j", "link", "show", "dev", device.name]))[0].stats64;
const attack: PortAttack = {
  items,
  passed: rxPackets,
  drops: { ...drops, "bad-batch-before": before },
  kernel: statistics.rx.packets + statistics.rx.errors + statistics.rx.dropped,
  responds: port.responds(),
  alive: (await run("ping", ["-c", "1", "-w", "5", "10.79.0.1"])).code,
  gone: 0,
};
await must("ip", ["link", "del", device.name]);
const errors = () => (port.counters().drops["tun-error"] ?? 0) - (drops["tun-error"] ?? 0);
await waitFor(() => errors() > 0, 10_000, "an error of the device that is gone");
attack.gone = errors();
await port.stop();
console.log(JSON.stringify(attack));
