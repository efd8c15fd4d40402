import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { skip } from "./support/daemon.js";
import { ctl, joinAs, pairs, saysLater } from "./support/pair.js";
import { vpnctlAs } from "./support/people.js";
import { secretsOnDisk } from "./support/secrets.js";

const psk = Buffer.alloc(32, 9).toString("base64");
const pair = pairs();

const inside = (archive: string, ...args: string[]): string =>
  execFileSync("tar", ["-xzOf", archive, ...args], { encoding: "utf8" });

test("a report holds what helps, no secret, and says what was taken out", { skip }, async () => {
  const { alpha, beta } = pair();
  await alpha.readyVpnd();
  await beta.readyVpnd();
  await pair().server();
  await joinAs(alpha, "a", "10.7.0.1/24", psk);
  await joinAs(beta, "b", "10.7.0.2/24", psk);
  await saysLater(alpha, /10\.7\.0\.2 .*up/, "peers");
  const file = join(alpha.folder, "report.tar.gz");
  const { files, removed } = JSON.parse(await ctl(alpha, "--json", "bug-report", "--out", file));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  for (const name of ["versions", "status", "networks", "peers", "stats", "events", "metrics", "footprint"])
    assert.ok(files.includes(`vpnd-bug-report/${name}.json`), name);
  const text = inside(file);
  for (const what of [/"vpnctl.peers\/v1"/, /10\.7\.0\.2/, /network is up/, /sent nowhere/, /link\/loopback/])
    assert.match(text, what);
  for (const secret of [...secretsOnDisk(alpha.stateDir), psk]) assert.ok(!text.includes(secret));
  const [fingerprint = ""] = /(?<="pskFingerprint":")\w+/.exec(await ctl(alpha, "--json", "networks")) ?? [];
  assert.equal(fingerprint.length, 8);
  assert.ok(!text.includes(fingerprint));
  assert.ok(removed.some((one: { what: string }) => one.what === "fingerprint of a key"));
  assert.match(
    inside(file, "vpnd-bug-report/removed.txt"),
    /^networks\.json: fingerprint of a key, 1 times$/m,
  );
  const again = await vpnctlAs("root", alpha, ["bug-report", "--out", file]);
  assert.equal(again.code, 1);
  assert.match(again.err, /it is there already/);
});

test("without vpnd there is a report too, which says so", { skip }, async () => {
  const file = join(pair().alpha.folder, "report.tar.gz");
  const out = await ctl(pair().alpha, "bug-report", "--out", file);
  assert.match(out, /^# missing: answers of vpnd: vpnd is not running/m);
  assert.match(inside(file, "vpnd-bug-report/missing.txt"), /vpnd is not running/);
  assert.ok(readFileSync(file).length > 500);
});
