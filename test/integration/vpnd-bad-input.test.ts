import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { VpnError } from "../../src/common/errors.js";
import { apiScene, fails, type JoinParts } from "./support/api-scene.js";
import { skip } from "./support/daemon.js";

const scene = apiScene();

test("bad input is refused with a hint and changes nothing", { skip }, async () => {
  scene.bench.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1");
  scene.bench.ip("addr", "add", "172.30.0.1/24", "dev", "veth0");
  scene.bench.ip("link", "set", "veth0", "up");
  const before = scene.bench.snapshot();
  const vpnd = await scene.bench.readyVpnd();
  const table: [JoinParts, string][] = [
    [{ virtualIp: "10.7.0.10" }, "usage"],
    [{ virtualIp: "" }, "usage"],
    [{ virtualIp: "10.7.0.0/16" }, "usage"],
    [{ network: "Bad Label" }, "usage"],
    [{ iex: [] }, "usage"],
    [{ iex: ["host"] }, "usage"],
    [{ mtu: 70_000 }, "usage"],
    [{ device: "much-too-long-a-name" }, "usage"],
    [{ name: "a b" }, "usage"],
    [{ psk: Buffer.from("weak") }, "usage"],
    [{ psk: Buffer.alloc(0) }, "usage"],
    [{ listenPort: 70_000 }, "usage"],
    [{ virtualIp: "172.30.0.9/16" }, "conflict"],
    [{ device: "veth0" }, "conflict"],
    [{ device: "lo" }, "conflict"],
  ];
  for (const [parts, code] of table) {
    await assert.rejects(scene.join({ noWait: true, ...parts }), fails(code), JSON.stringify(parts));
  }
  assert.deepEqual((await scene.join({ dryRun: true })).plan, [
    "create device vpn-default (tun)",
    "set vpn-default up, mtu 1400",
    "add address 10.7.0.10/16 to vpn-default",
  ]);
  for (const call of [
    scene.api().networks.leave({}),
    scene.api().networks.up({ network: "x" }),
    scene.api().networks.getNetwork({}),
    scene.api().peers.getPeer({ peer: "x" }),
    scene.api().stats.getStats({}),
    scene.api().keys.getPskStatus({}),
  ]) {
    await assert.rejects(call, fails("not-configured"));
  }
  assert.equal(scene.bench.snapshot(), before);
  await scene.stop(vpnd);
});

test("garbage on the socket, too large messages and many connections do no harm", { skip }, async () => {
  const vpnd = await scene.bench.readyVpnd();
  const garbage = [
    "",
    "GET / HTTP/1.1\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\xff\xff",
    "\0".repeat(100_000),
  ];
  for (const text of garbage) {
    const socket = connect(scene.bench.socket);
    socket.on("error", () => {}).resume();
    socket.end(Buffer.from(text, "latin1"));
    await once(socket, "close");
  }
  const idle = Array.from({ length: 100 }, () => connect(scene.bench.socket).on("error", () => {}));
  const huge = scene.api().networks.up({ network: "x".repeat(2 << 20) });
  await assert.rejects(huge, VpnError);
  await assert.rejects(
    scene.api().networks.getNetwork({ network: "\n\u001b[2Jx" }),
    fails("not-configured", /^[ -~]*$/),
  );
  assert.equal((await scene.api().daemon.getStatus({})).networks.length, 0);
  for (const socket of idle) socket.destroy();
  await scene.stop(vpnd);
});
