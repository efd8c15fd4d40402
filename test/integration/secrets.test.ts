import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { skip, until } from "./support/daemon.js";
import { ctl, pairs, saysLater, serverAddress } from "./support/pair.js";
import { vpnctlAs } from "./support/people.js";
import { formsOf, secretsOnDisk } from "./support/secrets.js";

const psk = Buffer.from(Array.from({ length: 32 }, (_, index) => 0xa0 ^ (index * 7))).toString("base64");
/** Everything that gRPC can be made to say. */
const talkative = { GRPC_TRACE: "all", GRPC_VERBOSITY: "DEBUG", NODE_DEBUG: "net,http2,stream" };
const pair = pairs();

/** Command lines and environments of all processes that run now. */
function processes(): string {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => ["cmdline", "environ"].map((file) => readIfThere(`/proc/${pid}/${file}`)))
    .join("\n");
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name));
}

test("a secret is in no log at trace level, no gRPC trace, no command line, no report", {
  skip,
}, async () => {
  const { alpha, beta } = pair();
  const before = { ...process.env };
  Object.assign(process.env, talkative);
  const daemons = [
    await alpha.readyVpnd("--log-level", "trace"),
    await beta.readyVpnd("--log-level", "trace"),
  ];
  for (const name of Object.keys(talkative)) delete process.env[name];
  Object.assign(process.env, before);
  await pair().server();
  const said: string[] = [];
  const keyFile = join(alpha.folder, "psk");
  writeFileSync(keyFile, psk, { mode: 0o600 });
  let seen = "";
  for (const [bench, vip] of [
    [alpha, "10.7.0.1/24"],
    [beta, "10.7.0.2/24"],
  ] as const) {
    const where = ["--iex", serverAddress, "--vip", vip, "--psk-file", keyFile];
    const joining = vpnctlAs("root", bench, ["--debug", "join", "home", ...where], { env: talkative });
    let done = false;
    void joining.finally(() => {
      done = true;
    });
    await until(() => {
      seen += processes();
      return done;
    }, "join to end");
    const { code, out, err } = await joining;
    assert.equal(code, 0, err.slice(-1000));
    said.push(out, err);
  }
  await saysLater(alpha, /10\.7\.0\.2 .*up/, "peers");
  const report = join(alpha.folder, "report.tar.gz");
  said.push(await ctl(alpha, "bug-report", "--out", report));
  for (const command of [
    "status",
    "networks",
    "network",
    "peers",
    "psk status",
    "events",
    "metrics",
    "footprint",
  ])
    said.push(await ctl(alpha, "--json", ...command.split(" ")));
  said.push(...daemons.flatMap((one) => [one.output, one.errors]), seen);
  assert.match(said.join("\n"), /D .*\| /, "gRPC traced nothing: the test would pass in vain");
  const secrets = [...formsOf(psk), ...secretsOnDisk(alpha.stateDir), ...secretsOnDisk(beta.stateDir)];
  for (const secret of secrets)
    for (const text of said) {
      const at = text.indexOf(secret);
      assert.equal(at, -1, `a secret after: ${text.slice(Math.max(0, at - 200), at)}`);
    }
});

test("what is on disk is for its owner only, and secrets are in one folder", { skip }, async () => {
  const { alpha } = pair();
  await alpha.readyVpnd();
  await pair().server();
  const where = ["--iex", serverAddress, "--vip", "10.7.0.1/24", "--psk-file", "-"];
  assert.equal((await vpnctlAs("root", alpha, ["join", "home", ...where], { input: psk })).code, 0);
  const secrets = secretsOnDisk(alpha.stateDir);
  assert.equal(statSync(alpha.stateDir).mode & 0o077, 0);
  for (const path of filesBelow(alpha.stateDir)) {
    const { mode } = statSync(path);
    assert.equal(mode & 0o077, 0, path);
    if (!statSync(path).isFile() || path.includes("/secrets/")) continue;
    const text = readFileSync(path, "latin1");
    for (const secret of secrets) assert.ok(!text.includes(secret), path);
  }
});
