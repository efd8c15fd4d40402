/** Two devices, one here and one in another namespace, joined by ports and nothing but JavaScript between them. */
import type { PacketPort, PortItems } from "../../../src/daemon/core/packet-port.js";
import { openTun } from "../../../src/daemon/io/native.js";
import { createPacketPort } from "../../../src/daemon/io/packet-port.js";
import { must } from "../../lab/command.js";
import { FarNamespace } from "./far-namespace.js";

const near4 = "10.78.0.1";
export const far4 = "10.78.0.2";
const near6 = "fd78::1";
export const far6 = "fd78::2";

export interface Joined {
  near: PacketPort;
  far: PacketPort;
  nearName: string;
  farName: string;
  namespace: FarNamespace;
  stop(): Promise<void>;
}

/** @param mtu of both devices */
export async function joinedPorts(items: PortItems, mtu: number): Promise<Joined> {
  await must("ip", ["link", "set", "lo", "up"]);
  const namespace = await FarNamespace.create();
  const tap = items === "frames";
  const [here, there] = [openTun({ name: "near%d", tap }), openTun({ name: "far%d", tap })];
  await must("ip", ["link", "set", there.name, "netns", namespace.pid]);
  const near = createPacketPort({ tunFd: here.fd, mtu, items });
  const far = createPacketPort({ tunFd: there.fd, mtu, items });
  join(near, far);
  near.start();
  far.start();
  const nearIp = (...args: string[]) => must("ip", args);
  for (const [ip, device, address4, address6] of [
    [nearIp, here.name, near4, near6],
    [(...args: string[]) => namespace.ip(...args), there.name, far4, far6],
  ] as const) {
    await ip("address", "add", `${address4}/24`, "dev", device);
    await ip("address", "add", `${address6}/64`, "dev", device, "nodad");
    await ip("link", "set", device, "mtu", String(mtu), "up");
  }
  return {
    near,
    far,
    nearName: here.name,
    farName: there.name,
    namespace,
    stop: async () => {
      await near.stop();
      await far.stop();
      namespace.end();
    },
  };
}

function join(a: PacketPort, b: PacketPort): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.onPackets = (batch) => {
      to.write(batch.data, batch.ends);
      batch.release();
    };
  }
}
