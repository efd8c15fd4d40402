import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { noRules, type Rules } from "../../core/filter/rules.js";
import { checkJoinOptions, makeConfig } from "../../core/network/config.js";
import { openStateFolder } from "./folder.js";
import { StateStore, type StoredNetwork } from "./store.js";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vd-store-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const network = (name: string): StoredNetwork => ({
  config: makeConfig(
    checkJoinOptions({
      network: name,
      iex: ["h:1"],
      virtualIp: "10.0.0.1/16",
      badger: false,
      listenPort: 0,
      device: "",
      mtu: 0,
      nodeName: "",
    }),
    "alpha",
    1000,
  ),
  secrets: { psk: Buffer.alloc(32, 7), nodeSeed: Buffer.alloc(32, 9) },
  learned: { pins: [{ a: 1 }] },
});

async function opened(): Promise<StateStore> {
  const store = new StateStore(root);
  await store.open();
  return store;
}

test("a network comes back as it was saved", async () => {
  const store = await opened();
  await store.save(network("office"));
  const { networks, damaged } = await store.load();
  assert.deepEqual(networks, [network("office")]);
  assert.deepEqual(damaged, []);
});

test("filter rules come back with their network, and go with it; damaged ones are not none", async () => {
  const store = await opened();
  const filter: Rules = {
    rules: [{ verdict: "deny", services: [], from: [{ name: "carol" }] }],
    others: "deny",
  };
  await store.save({ ...network("office"), filter });
  assert.deepEqual((await store.load()).networks[0]?.filter, filter);
  await store.saveFilter("office", noRules);
  assert.equal((await store.load()).networks[0]?.filter, undefined);
  await store.saveFilter("office", filter);
  await store.remove("office");
  await store.save(network("office"));
  assert.equal((await store.load()).networks[0]?.filter, undefined);
  writeFileSync(join(root, "filters", "office.json"), '{"version":1,"others":"deny"}');
  const { networks, damaged } = await store.load();
  assert.deepEqual(networks, []);
  assert.match(damaged[0]?.message ?? "", /filters\/office\.json: it lacks rules/);
});

test("secrets lie apart, and nobody else may read any of it", async () => {
  const store = await opened();
  await store.save(network("office"));
  const secret = Buffer.alloc(32, 7).toString("base64");
  assert.ok(readFileSync(join(root, "secrets/office.json"), "utf8").includes(secret));
  for (const folder of ["networks", "secrets", "peers"]) {
    assert.equal(statSync(join(root, folder)).mode & 0o777, 0o700);
    assert.equal(statSync(join(root, folder, "office.json")).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(root, folder)), ["office.json"]);
  }
  assert.ok(!readFileSync(join(root, "networks/office.json"), "utf8").includes(secret));
});

test("a removed network is gone", async () => {
  const store = await opened();
  await store.save(network("office"));
  await store.remove("office");
  assert.deepEqual((await store.load()).networks, []);
  for (const folder of ["networks", "secrets", "peers"])
    assert.deepEqual(readdirSync(join(root, folder)), []);
});

test("a damaged file is kept and spoils only its own network", async () => {
  const store = await opened();
  for (const name of ["a", "b", "c", "d", "good"]) await store.save(network(name));
  writeFileSync(join(root, "networks/a.json"), '{"version":1');
  writeFileSync(join(root, "secrets/b.json"), '{"version":1,"psk":"AAAA","nodeSeed":"AAAA"}');
  rmSync(join(root, "secrets/c.json"));
  writeFileSync(join(root, "peers/d.json"), "[]");
  const { networks, damaged } = await store.load();
  assert.deepEqual(
    networks.map((one) => one.config.name),
    ["good"],
  );
  assert.deepEqual(
    damaged.map((one) => one.name),
    ["a", "b", "c", "d"],
  );
  assert.match(damaged[0]?.message ?? "", /networks\/a\.json: it is not JSON/);
  assert.match(damaged[2]?.message ?? "", /secrets\/c\.json: it is missing/);
  assert.ok(existsSync(join(root, "networks/a.json")));
  const kept = await store.setAside("a", "5");
  assert.ok(kept.every((path) => existsSync(path)));
  assert.equal((await store.load()).damaged.length, 3);
});

test("what a damaged secret holds is in no message", async () => {
  const store = await opened();
  await store.save(network("a"));
  writeFileSync(join(root, "secrets/a.json"), 'vpsk1_topsecret "');
  const { damaged } = await store.load();
  assert.ok(!JSON.stringify(damaged).includes("topsecret"));
});

test("a save that fails leaves nothing half done", async () => {
  const store = await opened();
  // A folder where the file should go fails like a full disk: after the secrets were written.
  mkdirSync(join(root, "networks/office.json"));
  await assert.rejects(store.save(network("office")), /cannot write/);
  for (const folder of ["secrets", "peers"]) assert.deepEqual(readdirSync(join(root, folder)), []);
});

test("a state folder that others may write to is refused", () => {
  openStateFolder(join(root, "new/folder"));
  assert.equal(statSync(join(root, "new/folder")).mode & 0o777, 0o700);
  chmodSync(root, 0o777);
  assert.throws(() => openStateFolder(root), /others may write/);
});
