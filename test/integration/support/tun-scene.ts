/** Runs inside a network namespace of its own (native-tun.test.ts): devices by the addon, the engine on one; prints what came of it. */
import { spawnSync } from "node:child_process";
import { setImmediate } from "node:timers/promises";
import { VpnError } from "../../../src/common/errors.js";
import { closeFd, createMeshEngine, makeSocket, openTun } from "../../../src/daemon/io/native.js";

function run(command: string, ...args: string[]): string {
  const result = spawnSync(command, args, { encoding: "utf8" });
  return `${result.stdout}${result.stderr}`;
}

/** "ok", or the code and first words of the error. */
function tryOpen(name: string, tap: boolean): string {
  try {
    closeFd(openTun({ name, tap }).fd);
    return "ok";
  } catch (error) {
    return error instanceof VpnError ? `${error.code}: ${error.message}` : String(error);
  }
}

const bytes = (size: number) => new Uint8Array(size).fill(1);

run("ip", "link", "set", "lo", "up");
const device = openTun({ name: "scene%d" });
const socket = makeSocket({ family: 4, kind: "udp", port: 0 });
const engine = createMeshEngine({
  identity: {
    badger: false,
    nodeSeed: bytes(32),
    epochs: [
      {
        id: 1,
        dtlsPsk: bytes(32),
        identityKey: bytes(32),
        probePsk: bytes(64),
        networkId: bytes(32),
        record: bytes(1),
      },
    ],
  },
  tunFd: device.fd,
  mtu: 1400,
  sockets: [{ family: 4, fd: socket.fd }],
  threads: 2,
  pingIntervalMs: 1000,
  deadAfterMs: 5000,
});
engine.start();
run("ip", "address", "add", "10.77.0.1/24", "dev", device.name);
run("ip", "address", "add", "fd77::1/64", "dev", device.name, "nodad");
run("ip", "link", "set", device.name, "mtu", "1400", "up");

// More than one: ping may end without a word when the error comes before it listens.
const ping4 = run("ping", "-c", "3", "-i", "0.2", "-W", "5", "10.77.0.99");
const ping6 = run("ping", "-6", "-c", "3", "-i", "0.2", "-W", "5", "fd77::99");
const inUse = tryOpen(device.name, false);

run("ip", "tuntap", "add", "dev", "oldtap", "mode", "tap");
run("ip", "tuntap", "add", "dev", "oldtun", "mode", "tun", "multi_queue");
const devices = {
  tapAsTun: tryOpen("oldtap", false),
  tapAsTap: tryOpen("oldtap", true),
  tunAsTap: tryOpen("oldtun", true),
  tunAsTun: tryOpen("oldtun", false),
  notTun: tryOpen("lo", false),
};

run("ip", "link", "del", device.name);
const deadline = Date.now() + 10_000;
while (!engine.counters().drops["tun-error"] && Date.now() < deadline) await setImmediate();
const { drops } = engine.counters();
const unknown = engine.unknownDestinations().map((entry) => entry.address);
await engine.stop();
console.log(JSON.stringify({ name: device.name, ping4, ping6, inUse, devices, drops, unknown }));
