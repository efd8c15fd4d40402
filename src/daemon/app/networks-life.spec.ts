import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { forgetPeer } from "./forget-peer.js";
import { fails, networksBench, never, request } from "./networks-bench.js";

const bench = networksBench();

test("down is kept over a restart, up networks come back", async () => {
  const first = await bench.networks();
  await first.join(request(), never);
  await first.join(request({ network: "b", virtualIp: "10.9.0.1/24" }), never);
  await first.down("b", false, false);
  assert.deepEqual((await first.down("b", false, false)).names, ["b"]);
  await first.stop();
  bench.reboot();
  bench.whenMade = () => {};
  const second = await bench.networks();
  await second.restore();
  assert.deepEqual(
    second.all().map((one) => [one.name, one.life.state]),
    [
      ["b", "down"],
      ["default", "running"],
    ],
  );
  assert.equal((await second.up("b", false)).alreadyUp, false);
  assert.equal((await second.up("b", false)).alreadyUp, true);
  assert.equal(bench.carriers.length, 2);
});

test("what a carrier learns is kept, but not after the network was left", async () => {
  const networks = await bench.networks();
  await networks.join(request(), never);
  bench.carriers[0]?.input.onLearned({ pins: [1] });
  await networks.leave("", false);
  bench.carriers[0]?.input.onLearned({ pins: [2] });
  await networks.stop();
  assert.deepEqual(readdirSync(join(bench.root, "peers")), []);
  assert.deepEqual(networks.names(), []);
});

test("a pin is forgotten while its network is down, and of a node that is not listed", async () => {
  const pin = (address: string) => ({ address, nodeKey: "ab".repeat(32), since: 1, lastSeen: 2 });
  const networks = await bench.networks();
  const { network } = await networks.join(request(), never);
  bench.carriers[0]?.input.onLearned({ pins: [pin("10.0.0.2"), pin("10.0.0.3")] });
  const unlisted = await forgetPeer(networks, "", "10.0.0.2", true);
  assert.deepEqual(unlisted, { network: "default", virtualIp: "10.0.0.2", hadPin: true });
  await networks.down("", false, false);
  assert.equal((await forgetPeer(networks, "default", "10.0.0.2", false)).hadPin, true);
  assert.deepEqual(network.pinned(), ["10.0.0.3"]);
  await assert.rejects(forgetPeer(networks, "", "10.0.0.2", false), { code: "not-found" });
  const again = await bench.networks();
  await again.restore();
  assert.deepEqual(again.get("default").pinned(), ["10.0.0.3"]);
});

test("a damaged network is shown, refuses use, and can be left", async () => {
  const first = await bench.networks();
  await first.join(request(), never);
  await first.stop();
  writeFileSync(join(bench.root, "secrets/default.json"), "{");
  const networks = await bench.networks();
  await networks.restore();
  assert.equal(networks.damaged().length, 1);
  await assert.rejects(networks.join(request(), never), fails("failed", /secrets\/default/));
  assert.throws(() => networks.get(""), fails("failed"));
  await networks.leave("default", false);
  assert.ok(
    readdirSync(join(bench.root, "secrets")).some((file) => file.startsWith("default.json.damaged-")),
  );
  assert.deepEqual(networks.names(), []);
});
