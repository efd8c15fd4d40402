import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fingerprint, generatePsk, parsePsk } from "../../src/common/psk.js";
import { vpnctl } from "./support/vpnctl-run.js";
import { CannedServer } from "./support/vpnctl-server.js";

const server = new CannedServer();
const folder = mkdtempSync(join(tmpdir(), "vpnctl-psk-"));
const keyFile = join(folder, "key");
const key = generatePsk(new Uint8Array(32).fill(3));
const cwd = process.cwd();

before(async () => {
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  await server.start();
});
after(async () => {
  process.chdir(cwd);
  rmSync(folder, { recursive: true });
  await server.stop();
});

const run = (line: string) => vpnctl(["--socket", server.socket, ...line.split(" ")]);

test("psk set sends the file's bytes and says what every node has to do", async () => {
  const { code, out, err } = await run(`psk set home --psk-file ${keyFile} --grace 2h`);
  assert.deepEqual([code, err], [0, ""]);
  assert.equal(
    out,
    `home prefers now: psk bytes${key.length + 1}\n` +
      "still accepted: psk abcd2345, ends in 2h\n" +
      "# every node of the network needs this key before the others end: vpnctl psk set --psk-file FILE\n" +
      "# who has it: vpnctl psk status\n",
  );
  const dry = await run(`psk set home --psk-file ${keyFile} --dry-run`);
  assert.equal(dry.out, "prefer another PSK\n# dry run: nothing was changed\n");
});

test("psk rotate keeps the key that it makes in a file of mode 0600, and never prints it unasked", async () => {
  process.chdir(folder);
  const { code, out, err } = await run("psk rotate home");
  assert.deepEqual([code, err], [0, ""]);
  const file = /^wrote the new key to (home-\S+\.psk)$/m.exec(out)?.[1] ?? assert.fail(out);
  const made = readFileSync(file, "utf8");
  assert.ok(!out.includes(made.trim()));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  parsePsk(Buffer.from(made), { badger: false });
  const again = await run(`psk rotate home --out ${file}`);
  assert.equal(again.code, 1);
  assert.match(again.err, /exists, and keys are never overwritten/);
  const printed = await run("psk rotate home --out -");
  assert.equal(printed.out, made);
  assert.match(printed.err, /^home prefers now/);
});

test("a dry run makes no file", async () => {
  process.chdir(folder);
  const before = readdirSync(".");
  const { out } = await run("psk rotate home --dry-run");
  assert.match(out, /dry run/);
  assert.deepEqual(readdirSync("."), before);
  const named = await run("psk rotate home --dry-run --out made.psk");
  assert.equal(named.code, 0);
  assert.equal(existsSync("made.psk"), false);
});

const wrong: readonly (readonly [string, RegExp])[] = [
  ["psk set home", /no key is given\nadd --psk-file/],
  ["psk set home --psk-file /nonexistent/key", /no such file.*\nmake a key: vpnctl psk generate/],
  ["join net --gateway wss://gw.example --token-file /nonexistent", /no such file.*\n.*gateway user add/],
  ["join net --gateway wss://gw.example --token-file /dev/null", /holds no token\n/],
  ["set home --gateway wss://gw.example", /--gateway is not changed by set\n.*vpnctl leave/],
  [`psk set home --psk-file ${keyFile} --grace soon`, /"soon" is no duration\nwrite it as --grace 7d/],
  [`psk rotate --psk-file ${keyFile} --out x`, /exclude each other/],
  [`probe nowhere --psk-file ${keyFile}`, /"nowhere" is no endpoint\nwrite HOST:PORT/],
  [`probe 127.0.0.1:70000 --psk-file ${keyFile}`, /is no endpoint/],
  ["probe 127.0.0.1:9", /no key is given/],
];
for (const [line, message] of wrong)
  test(`refused with a hint: ${line.replace(keyFile, "FILE")}`, async () => {
    const { code, out, err } = await run(line);
    assert.equal(out, "");
    assert.match(err, message);
    assert.ok(code === 2 || code === 1, String(code));
  });

test("probe says that nobody listens, without vpnd", async () => {
  const { code, err } = await vpnctl([
    "--socket",
    "/nonexistent",
    "probe",
    "127.0.0.1:9",
    "--psk-file",
    keyFile,
  ]);
  assert.equal(code, 8);
  assert.match(err, /127\.0\.0\.1:9 does not answer/);
  assert.ok(!err.includes(key) && !err.includes(fingerprint(parsePsk(Buffer.from(key), { badger: false }))));
});

test("probe survives rubbish that looks like DTLS, and repeats what was lost", async () => {
  const rubbish = createSocket("udp4");
  let got = 0;
  rubbish.on("message", (_, from) => {
    got += 1;
    // The first one is lost.
    if (got === 1) return;
    const header = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, got, 0, 40, 3, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 28];
    rubbish.send(Buffer.concat([Buffer.from(header), Buffer.alloc(28, 0xff)]), from.port, from.address);
  });
  rubbish.bind(0, "127.0.0.1");
  await once(rubbish, "listening");
  try {
    const to = `127.0.0.1:${rubbish.address().port}`;
    const { code, err } = await vpnctl(["probe", to, "--psk-file", keyFile, "--timeout", "20s"]);
    assert.equal(code, 1);
    assert.match(err, /speaks DTLS, but not as vpnd does/);
    assert.ok(got > 1);
  } finally {
    rubbish.close();
  }
});
