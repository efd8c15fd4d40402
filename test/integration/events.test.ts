import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { skip, until } from "./support/daemon.js";
import { ctl, joinAs, pairs, saysLater } from "./support/pair.js";

const psk = Buffer.alloc(32, 9).toString("base64");
const pair = pairs();

test("peers and networks that come and go are told, and still known after a restart", { skip }, async () => {
  const { alpha, beta } = pair();
  const first = await alpha.readyVpnd();
  const other = await beta.readyVpnd();
  await pair().server();
  assert.equal((await joinAs(alpha, "a", "10.7.0.1/24", psk)).code, 0);
  const watch = spawn(
    process.execPath,
    ["--import", "tsx", "src/ctl/main.ts", "--socket", alpha.socket, "--json", "events", "--watch"],
    { cwd: new URL("../..", import.meta.url).pathname },
  );
  let watched = "";
  watch.stdout.on("data", (data: Buffer) => {
    watched += data.toString();
  });
  try {
    assert.equal((await joinAs(beta, "b", "10.7.0.2/24", psk)).code, 0);
    await saysLater(alpha, /up +b \(10\.7\.0\.2\) is up \(direct\)/, "events");
    await other.stop();
    await saysLater(alpha, /down +b \(10\.7\.0\.2\) is offline: it said goodbye \(offline\)/, "events");
    await until(() => /"type":"down".*"10\.7\.0\.2"/.test(watched), "the watcher to be told");
    assert.match(watched, /"type":"up".*"10\.7\.0\.2"/);
  } finally {
    watch.kill();
  }
  await ctl(alpha, "down", "home");
  assert.match(await ctl(alpha, "events"), /down +network is down/);
  assert.equal(await first.stop(), 0);
  const file = join(alpha.stateDir, "events.jsonl");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  appendFileSync(file, '{"at":1,"type":"up","net');
  await alpha.readyVpnd();
  const kept = await ctl(alpha, "events");
  for (const what of [/network is up/, /b \(10\.7\.0\.2\) is up/, /said goodbye/, /network is down/])
    assert.match(kept, what);
  assert.match(await ctl(alpha, "-n", "elsewhere", "events"), /^# nothing happened yet\n$/);
});

test("a peer with another key is an error with its reason", { skip }, async () => {
  await pair().alpha.readyVpnd();
  await pair().beta.readyVpnd();
  await pair().server();
  await joinAs(pair().alpha, "a", "10.7.0.1/24", psk);
  await joinAs(pair().beta, "b", "10.7.0.2/24", Buffer.alloc(32, 8).toString("base64"));
  await saysLater(pair().beta, /error +10\.7\.0\.1 is .*\(wrong-psk\)/, "events");
});

test("a disk that takes no events is told once, and costs nothing else", { skip }, async () => {
  const { alpha } = pair();
  const file = join(alpha.stateDir, "events.jsonl");
  mkdirSync(file, { recursive: true, mode: 0o700 });
  const vpnd = await alpha.readyVpnd();
  await pair().server();
  assert.equal((await joinAs(alpha, "a", "10.7.0.1/24", psk)).code, 0);
  await saysLater(alpha, /network is up/, "events");
  await saysLater(alpha, /^vpnd_events_lost_total [1-9]/m, "metrics");
  await ctl(alpha, "down", "home");
  await saysLater(alpha, /network is down/, "events");
  rmSync(file, { recursive: true });
  assert.equal(vpnd.output.match(/events cannot be written/g)?.length, 1);
});
