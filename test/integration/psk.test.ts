/** KeyService of the real vpnd: what is refused, what is kept, and what never leaves it. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { VpnError } from "../../src/common/errors.js";
import { KeyService } from "../../src/common/gen/vpnd/v1/key_pb.js";
import { NetworkService } from "../../src/common/gen/vpnd/v1/network_pb.js";
import type { Connection } from "../../src/common/grpc/client.js";
import { Bench, skip } from "./support/daemon.js";

const first = Buffer.from("5a".repeat(32));
const second = Buffer.from("5b".repeat(32));
const hour = 3600;
let bench: Bench;
let connection: Connection | undefined;

beforeEach(() => {
  if (!skip) bench = new Bench();
});
afterEach(async () => {
  connection?.close();
  connection = undefined;
  if (!skip) await bench.close();
});

const keys = () => {
  connection ??= bench.connect();
  return connection.service(KeyService);
};
const networks = () => {
  connection ??= bench.connect();
  return connection.service(NetworkService);
};
const joined = (network = "default", virtualIp = "10.7.0.10/24", badger = false, psk: Uint8Array = first) => {
  const value = { virtualIp, iex: ["127.0.0.1:9944"], psk, badger };
  return networks().join({ network, noWait: true, carrier: { case: "mesh", value } });
};
const fingerprints = async (network = "") =>
  (await keys().getPskStatus({ network })).networks[0]?.epochs.map((epoch) => epoch.fingerprint) ?? [];
const fails = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof VpnError && error.code === code && message.test(`${error.message}\n${error.hint}`);

test("a PSK is set, kept over a restart, and given up at the end of its grace period", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  await joined();
  const [before] = await fingerprints();
  const answer = await keys().setPsk({ psk: second, graceSeconds: hour });
  assert.equal(answer.network, "default");
  assert.equal(answer.alreadySet, false);
  assert.deepEqual(await fingerprints(), [answer.psk?.epochs[0]?.fingerprint, before]);
  const until = answer.psk?.epochs[1]?.until;
  assert.ok(until && Math.abs(timestampMs(until) - Date.now() - hour * 1000) < 10_000);
  assert.equal((await networks().getNetwork({})).network?.pskFingerprint, answer.psk?.epochs[0]?.fingerprint);

  // Joining again means the PSK of now.
  assert.equal((await joined("default", "10.7.0.10/24", false, second)).alreadyJoined, true);
  await assert.rejects(joined(), fails("conflict", /another PSK\n.*vpnctl psk set/));

  const file = join(bench.stateDir, "secrets", "default.json");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const both = await fingerprints();
  connection?.close();
  connection = undefined;
  await vpnd.stop("SIGKILL");
  const again = await bench.readyVpnd();
  assert.deepEqual(await fingerprints(), both);

  assert.equal((await keys().setPsk({ psk: second, graceSeconds: 0 })).alreadySet, true);
  assert.deepEqual(await fingerprints(), both.slice(0, 1));
  assert.equal(readFileSync(file, "utf8").includes("formerPsks"), false);
  for (const output of [vpnd.output, vpnd.errors, again.output, again.errors]) {
    for (const key of [first, second]) {
      for (const form of [key.toString("hex"), key.toString("base64"), key.toString()]) {
        assert.ok(!output.includes(form), "a PSK is in the log");
      }
    }
  }
});

test("a dry run says what would change", { skip }, async () => {
  await bench.readyVpnd();
  await joined();
  const before = await fingerprints();
  const { plan, psk } = await keys().setPsk({ psk: second, graceSeconds: 2 * hour, dryRun: true });
  assert.match(plan.join("\n"), /^prefer PSK \w{8} over \w{8}\naccept \w{8} for up to (2h|1h 59m) more$/);
  assert.equal(psk?.epochs.length, 2);
  assert.deepEqual(await fingerprints(), before);
});

test("what makes no sense is refused and changes nothing", { skip }, async () => {
  await bench.readyVpnd();
  await assert.rejects(keys().setPsk({ psk: second }), fails("not-configured", /join/));
  await joined();
  await assert.rejects(keys().setPsk({ network: "other", psk: second }), fails("not-found", /other/));
  const before = await fingerprints();
  await assert.rejects(keys().setPsk({ psk: Buffer.from("weak") }), fails("usage", /too weak/));
  await assert.rejects(keys().setPsk({ psk: new Uint8Array() }), fails("usage", /empty/));
  for (const graceSeconds of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) {
    await assert.rejects(keys().setPsk({ psk: second, graceSeconds }), fails("usage", /grace/));
  }
  assert.deepEqual(await fingerprints(), before);
  await joined("second", "10.8.0.10/24", true, Buffer.from("phrase"));
  await assert.rejects(keys().setPsk({ psk: second }), fails("usage", /second/));
  const { notes } = await keys().setPsk({
    network: "second",
    psk: Buffer.from("other phrase\n"),
    graceSeconds: 9,
  });
  assert.match(notes.join(), /weak/);
});

test("no more than four PSKs are accepted at a time", { skip }, async () => {
  await bench.readyVpnd();
  await joined();
  for (const fill of [1, 2, 3]) {
    await keys().setPsk({ psk: Buffer.from(`0${fill}`.repeat(32)), graceSeconds: hour });
  }
  await assert.rejects(keys().setPsk({ psk: second, graceSeconds: hour }), fails("failed", /--grace 0/));
  assert.equal((await fingerprints()).length, 4);
  await keys().setPsk({ psk: second, graceSeconds: 0 });
  assert.equal((await fingerprints()).length, 1);
});

test("a network that is down takes a new PSK for when it is up", { skip }, async () => {
  await bench.readyVpnd();
  await joined();
  await networks().down({});
  await keys().setPsk({ psk: second, graceSeconds: hour });
  assert.equal((await fingerprints()).length, 2);
  await networks().up({});
  assert.equal((await fingerprints()).length, 2);
});

test("a damaged list of former PSKs does not pass for a good one", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  await joined();
  await keys().setPsk({ psk: second, graceSeconds: hour });
  connection?.close();
  connection = undefined;
  await vpnd.stop();
  const file = join(bench.stateDir, "secrets", "default.json");
  const state: { formerPsks: { until: unknown }[] } = JSON.parse(readFileSync(file, "utf8"));
  for (const one of state.formerPsks) one.until = "soon";
  writeFileSync(file, JSON.stringify(state));
  const again = await bench.readyVpnd();
  assert.match(again.output, /cannot use .*secrets\/default\.json/);
  await assert.rejects(keys().setPsk({ psk: second }), fails("failed", /former key/));
});
