import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { services } from "../../src/daemon/app/api/services.js";
import { classifiedMethods } from "../../src/daemon/core/access/methods.js";
import { Bench, type Running, skip, until } from "./support/daemon.js";
import { groupName, nobody, vpnctlAs } from "./support/people.js";

const key = Buffer.alloc(32, 9).toString("base64");
const joining = [
  "join",
  "home",
  "--iex",
  "127.0.0.1:9",
  "--vip",
  "10.7.0.1/24",
  "--psk-file",
  "-",
  "--no-wait",
];
let bench: Bench;

beforeEach(() => {
  if (!skip) bench = new Bench();
});
afterEach(async () => {
  if (!skip) await bench.close();
});

const audits = (vpnd: Running): Record<string, unknown>[] =>
  vpnd.output
    .split("\n")
    .filter((line) => line.includes('"audit":true'))
    .map((line) => JSON.parse(line));

/** What vpnd has said may come later than the answer to who asked. */
async function audited(vpnd: Running, lines: number): Promise<Record<string, unknown>[]> {
  await until(() => audits(vpnd).length >= lines, `${lines} lines of audit`);
  return audits(vpnd);
}

function openToAll(): Promise<Running> {
  const config = join(bench.folder, "vpnd.toml");
  writeFileSync(config, 'read_access = "all"\n');
  return bench.readyVpnd("--config", config, "--socket-group", groupName);
}

test("every method of the API is classified, and nothing else is", () => {
  const methods = services.flatMap((desc) => desc.methods.map((one) => `${desc.typeName}/${one.name}`));
  const health = ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"];
  assert.deepEqual([...classifiedMethods].sort(), [...methods, ...health].sort());
});

test("strangers are kept out, members of the group get in", { skip }, async () => {
  const vpnd = await bench.readyVpnd("--socket-group", groupName);
  assert.equal(statSync(bench.socket).mode & 0o777, 0o660);
  const stranger = await vpnctlAs("stranger", bench, ["status"]);
  assert.equal(stranger.code, 4);
  assert.match(stranger.err, /^vpnctl: you may not use vpnd .*\njoin its group: /);
  const member = await vpnctlAs("member", bench, joining, { input: key });
  assert.equal(member.code, 0, member.err);
  const [line, ...more] = await audited(vpnd, 1);
  assert.equal(more.length, 0);
  assert.equal(line?.uid, nobody);
  assert.equal(typeof line?.pid, "number");
  assert.equal(line?.command, "join");
  assert.equal(line?.network, "home");
  assert.equal(line?.outcome, "ok");
  assert.ok(!vpnd.output.includes(key));
});

test("who gets past the socket's mode is told that it is not for them", { skip }, async () => {
  await bench.readyVpnd("--socket-group", groupName);
  const intruder = await vpnctlAs("intruder", bench, ["status"]);
  assert.equal(intruder.code, 4, intruder.err);
  assert.match(intruder.err, /for root and members of group users\n.*sudo usermod -aG users/);
});

test("a change leaves one line, also when it fails; looking and dry runs leave none", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  await vpnctlAs("root", bench, ["status"]);
  await vpnctlAs("root", bench, [...joining, "--dry-run"], { input: key });
  assert.deepEqual(audits(vpnd), []);
  assert.equal((await vpnctlAs("root", bench, ["leave", "nowhere"])).code, 6);
  assert.deepEqual(
    (await audited(vpnd, 1)).map(({ uid, command, network, outcome }) => ({
      uid,
      command,
      network,
      outcome,
    })),
    [{ uid: 0, command: "leave", network: "nowhere", outcome: "not-configured" }],
  );
});

test("with read_access = all strangers look, see no fingerprints and change nothing", { skip }, async () => {
  const vpnd = await openToAll();
  assert.equal(statSync(bench.socket).mode & 0o777, 0o666);
  assert.equal((await vpnctlAs("root", bench, joining, { input: key })).code, 0);
  for (const looking of [
    "status",
    "networks",
    "network home",
    "peers",
    "stats",
    "events",
    "metrics",
    "plan",
  ]) {
    const said = await vpnctlAs("stranger", bench, looking.split(" "));
    assert.equal(said.code, 0, `${looking}: ${said.err}`);
  }
  const mine = await vpnctlAs("root", bench, ["--json", "networks"]);
  assert.match(mine.out, /pskFingerprint/);
  const theirs = await vpnctlAs("stranger", bench, ["--json", "networks"]);
  assert.match(theirs.out, /"network":"home"/);
  assert.doesNotMatch(theirs.out, /ingerprint/);
  for (const refused of ["leave home", "down home", "psk status"]) {
    const said = await vpnctlAs("stranger", bench, refused.split(" "));
    assert.equal(said.code, 4, `${refused}: ${said.err}`);
    assert.match(said.err, /^vpnctl: you may look, but not .*\n.*sudo.*group/);
  }
  const measured = await vpnctlAs("stranger", bench, ["metrics"]);
  assert.match(measured.out, /^vpnd_api_refused_total 3$/m);
  const members = await vpnctlAs("member", bench, ["leave", "home"]);
  assert.equal(members.code, 0, members.err);
  assert.deepEqual(
    (await audited(vpnd, 2)).map(({ command, outcome }) => `${command} ${outcome}`),
    ["join ok", "leave ok"],
  );
});

test("a stranger who holds connections keeps nobody else out", { skip }, async () => {
  await openToAll();
  await vpnctlAs("root", bench, ["status"]);
  const source = `
    let open = 200;
    for (let i = 0; i < 200; i++)
      require("net").connect(process.argv[1]).on("error", () => {}).on("close", () => console.log("open", --open)).resume();`;
  const people = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  const holder = spawn("setpriv", [...people, process.execPath, "-e", source, bench.socket]);
  let said = "";
  holder.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  try {
    await until(
      () => said.includes("open 48\n"),
      "all but 16 connections, and 32 that are told why, to be closed",
    );
    const mine = await vpnctlAs("root", bench, ["status"]);
    assert.equal(mine.code, 0, mine.err);
    await until(() => said.includes("open 0\n"), "those that call nothing to be closed too");
    const { out } = await vpnctlAs("root", bench, ["metrics"]);
    assert.match(out, /^vpnd_api_connections_rejected_total\{reason="user-limit"\} 184$/m);
  } finally {
    holder.kill();
  }
});
