import assert from "node:assert/strict";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { explainConnect } from "../../src/ctl/io/api.js";
import { type Result, type Terminal, vpnctl } from "./support/vpnctl-run.js";
import { CannedServer } from "./support/vpnctl-server.js";

const server = new CannedServer();
const key = Buffer.alloc(32, 9).toString("base64");
const keyFile = join(server.folder, "key");

before(async () => {
  await server.start();
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
});
after(() => server.stop());

const run = (line: string, terminal?: Terminal): Promise<Result> =>
  vpnctl(["--socket", server.socket, ...line.split(" ")], terminal);

const table = `IP        NAME      PATH    STATE    RTT      RX        TX     ENDPOINT           REASON
10.0.0.1  a         self    up       -        -         -      198.51.100.1:4000
10.0.0.2  nas       direct  up       12.3 ms  1.20 MiB  900 B  192.0.2.9:4000
10.0.0.3  evil�[2J  none    refused  -        0 B       0 B    -                  wrong-psk: the peer has another key
# psk fingerprint abcd2345
# a remark
`;

test("peers is a table, self first, remarks last; names cannot drive the terminal", async () => {
  assert.deepEqual(await run("peers"), { code: 0, out: table, err: "" });
  assert.equal(
    (await run("peers", { columns: 200 })).out,
    table,
    "a wide terminal without colour looks the same",
  );
});

test("a narrow terminal loses columns, never the reason", async () => {
  const { out } = await run("peers", { columns: 70 });
  const [header = "", , , refused = ""] = out.split("\n");
  assert.equal(header, "IP        NAME      STATE    REASON");
  assert.match(refused, /refused {2}wrong-psk: the peer has another key$/);
});

test("colour marks states on a terminal", async () => {
  const { out } = await run("peers", { columns: 200, colour: true });
  assert(out.includes("\u001b[31mrefused\u001b[0m"));
  assert(out.includes("\u001b[32mup\u001b[0m"));
});

test("an empty network asks whether the key is right", async () => {
  const { out } = await run("-n empty peers");
  assert.match(out, /^# nobody else is here: is the key right\? fingerprint abcd2345$/m);
  const unanswered = await run("-n connecting peers");
  assert.match(unanswered.out, /timeout: no answer\n# psk fingerprint abcd2345\n$/);
  const document = JSON.parse((await run("-n empty peers --json")).out);
  assert.equal(document.self.virtualIp, "10.0.0.1");
});

test("global flags go before and after the command, with = or a space", async () => {
  for (const line of [
    "--json peers",
    "peers --json",
    "peers --json --timeout=3s",
    "--timeout 3s --json peers",
  ])
    assert.equal(JSON.parse((await run(line)).out).schema, "vpnctl.peers/v1", line);
  const viaEnv = await vpnctl(["peers"], { env: { VPND_SOCKET: server.socket } });
  assert.equal(viaEnv.code, 0);
});

test("several networks are one JSON document a line", async () => {
  const { out } = await run("-n both --json peers");
  assert.deepEqual(
    out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).network),
    ["home", "lab"],
  );
});

test("join sends what was typed and says where the node is", async () => {
  const done = await run(
    `join home --iex 192.0.2.1,[2001:db8::1]:99 --vip 10.0.0.1/16 --psk-file ${keyFile} --mtu 1300`,
  );
  assert.deepEqual(done, {
    code: 0,
    out: "joined home: 10.0.0.1/16 on vpn-home\n# psk fingerprint abcd2345\n",
    err: "",
  });
  const carrier = server.lastJoin?.carrier;
  assert.ok(carrier?.case === "mesh");
  const mesh = carrier.value;
  assert.deepEqual(mesh.iex, ["192.0.2.1:9944", "[2001:db8::1]:99"]);
  assert.equal(mesh.virtualIp, "10.0.0.1/16");
  assert.equal(Buffer.from(mesh.psk).toString(), `${key}\n`);
  assert.equal(server.lastJoin?.mtu, 1300);
  assert.equal(server.lastJoin?.timeoutSeconds, 15);
  const again = await run(
    `join again --iex h --vip 10.0.0.1/16 --psk-file ${keyFile} --no-wait --timeout 2s`,
  );
  assert.match(again.out, /^already joined again: /);
  assert.equal(server.lastJoin?.noWait, true);
  assert.equal(server.lastJoin?.timeoutSeconds, 2);
});

test("join warns of keys that others can see", async () => {
  const open = join(server.folder, "open");
  writeFileSync(open, key);
  chmodSync(open, 0o644);
  const file = await run(`join --iex h --vip 10.0.0.1/16 --psk-file ${open}`);
  assert.equal(file.code, 0);
  assert.match(file.err, /^vpnctl: warning: everybody on this machine can read/);
  const inline = await run(`join --iex h --vip 10.0.0.1/16 --psk ${key}`);
  assert.equal(inline.code, 0);
  assert.match(inline.err, /^vpnctl: warning: --psk shows the key/);
  assert(!inline.err.includes(key) && !inline.out.includes(key));
});

test("join --dry-run prints the plan", async () => {
  const { out } = await run(`join home --iex h --vip 10.0.0.1/16 --psk-file ${keyFile} --dry-run`);
  assert.equal(
    out,
    "add device vpn-home\nadd address 10.0.0.1/16 to vpn-home\n# dry run: nothing was changed\n",
  );
});

const joinTail = `--iex h --vip 10.0.0.1/16 --psk-file ${keyFile}`;
const usageErrors: [string, RegExp][] = [
  ["peesr", /no command "peesr"\ndid you mean peers/],
  ["psk genrate", /no command "genrate"\ndid you mean generate/],
  ["peer", /PEER is missing\n/],
  ["peers --wach", /no flag --wach; did you mean --watch\?\n/],
  ["peer a b", /too many arguments/],
  ["ping nas -c x", /--count: "x" is out of range\n/],
  ["--timeout soon peers", /"soon" is no duration\n/],
  ["--json peers --json", /--json is given twice\n/],
  ["join --iex a --iex b", /--iex is given twice\n/],
  ["peers --network", /--network needs a value\n/],
  ["-n lab stats home", /two networks are named: home and lab\n/],
  ["down home --all", /--all and the network home are both given\n/],
  ["status --check good", /--check is one of live, ready\n/],
  [`join --vip 10.0.0.1/16 --psk-file ${keyFile}`, /no rendezvous server is named\nadd --iex/],
  [`join --iex h --psk-file ${keyFile}`, /no virtual IP is named\nadd --vip/],
  ["join --iex h --vip 10.0.0.1/16", /no key is given\n.*psk generate/],
  ["join --iex h --vip auto", /--vip auto is not available yet\n/],
  ["join --iex h --vip 10.0.0.1", /no address with prefix length\n/],
  ["join --iex h:70000", /no rendezvous server\n/],
  ["join --iex h --vip 10.0.0.1/16 --psk weak", /\n.*psk generate/],
  [`join ${joinTail} --psk x`, /both --psk and --psk-file are given\n/],
  [`join ${joinTail} --mtu 10`, /--mtu: "10" is out of range\n/],
  [`join ${joinTail} --device a-name-that-is-long`, /no device name\n/],
  ["join --gateway wss://example.org --vip 10.0.0.1/16", /--vip is not an option/],
  ["join --gateway wss://example.org --iex h", /--iex is not an option/],
  ["join --iex h:1 --fanqiang", /--fanqiang is not an option of a mesh/],
  ["gateway user add", /NAME/],
  ["gateway user add a --rate x", /no rate\n/],
  ["join --postgres postgres://user@host/db", /no virtual IP is named\n/],
  ["join --postgres postgres://user@host/db --vip 10.0.0.1/16 --iex h", /--iex is not an option/],
  ["join --iex h --vip 10.0.0.1/16 --fast", /--fast is not an option of a mesh\n/],
  ["join --postgres postgres://user@host/db --max-size huge", /no size\n/],
  ["join --postgres postgres://user@host/db --log some", /does not say what is kept\n/],
  ["join --postgres postgres://user@host/db --log sample=0", /does not say what is kept\n/],
  [
    "join --postgres postgres://user@host/db --vip 10.0.0.1/16 --psk-file - --postgres-password-file -",
    /both the password and the key\n/,
  ],
  ["log query --filter host", /--filter, column 5: the end, where an address, such as 10.0.0.2, belongs\n/],
  ["log query --since never", /--since: "never" is no time\n/],
  ["log tail --postgres-password-file x", /--postgres-password-file is for --postgres URL\n/],
  ["log export", /one of --pcap, --csv and --jsonl says what to write\n/],
  ["log prune", /no time is named\nadd --before 30d/],
  ["log replay", /no peer is named\n/],
  ["log replay --to nas --speed -1", /--speed: "-1" is no speed\n/],
  ["log query --view all", /--view is one of talkers, conversations, connections\n/],
  ["log export --csv --pcap x", /one of --pcap, --csv and --jsonl says what to write\n/],
  ["log query --postgres host/db", /the URL of the database is none, or names no user\n/],
  ["join --relay off", /this version has no relays\n/],
  ["completion tcsh", /no completion for tcsh\n/],
];

for (const [line, expected] of usageErrors)
  test(`usage: ${line.replaceAll(server.folder, "")}`, async () => {
    const { code, out, err } = await run(line);
    assert.equal(code, 2, err);
    assert.match(err, expected);
    assert.equal(
      err
        .replace(/^vpnctl: warning.*\n/m, "")
        .trimEnd()
        .split("\n").length,
      2,
      `two lines: ${err}`,
    );
    assert.equal(out, "");
    assert(!err.includes("secret"));
  });

const daemonErrors: [string, number, RegExp][] = [
  [`join silent ${joinTail}`, 8, /192\.0\.2\.1:9944 does not answer\nis iexd running/],
  [`join taken ${joinTail}`, 1, /10\.0\.0\.1 is held by b\n/],
  ["leave", 2, /several networks\nname one: home, lab/],
  ["leave nowhere", 6, /nowhere is not joined\n/],
  ["peer nobody", 1, /nobody is called nobody\nsee who is there: vpnctl peers/],
  ["peer twin", 2, /several peers are called twin\nname one: twin.home, twin.lab/],
  ["-n hang --timeout 100ms peers", 8, /did not answer in time\n/],
  ["ping deaf -c 2", 8, /deaf does not answer\n/],
  ["wait --peers 2 --timeout 1s", 8, /home has 1 of 2 peers\n/],
  [`join ${joinTail.replace(keyFile, "/nowhere/key")}`, 1, /cannot read \/nowhere\/key/],
];

for (const [line, code, expected] of daemonErrors)
  test(`error ${code}: ${line.replaceAll(server.folder, "")}`, async () => {
    const result = await run(line);
    assert.equal(result.code, code, result.err);
    assert.match(result.err, expected);
  });

test("without vpnd it says how to start it: exit 7, and 3 from status", async () => {
  const missing = join(server.folder, "missing");
  const expected = `vpnctl: vpnd is not running (no socket at ${missing})\nstart it: sudo systemctl start vpnd\n`;
  assert.deepEqual(await vpnctl(["peers", "--socket", missing]), { code: 7, out: "", err: expected });
  assert.deepEqual(await vpnctl(["status", "--socket", missing]), { code: 3, out: "", err: expected });
  const version = await vpnctl(["version", "--socket", missing]);
  assert.deepEqual(version, { code: 7, out: "vpnctl 0.1.0\n", err: expected });
  writeFileSync(missing, "");
  assert.match((await vpnctl(["peers", "--socket", missing])).err, /nobody listens at/);
});

test("a socket that accepts and hangs up is a daemon that does not answer", async () => {
  const path = join(server.folder, "rude");
  const rude = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => rude.listen(path, resolve));
  const { code, err } = await vpnctl(["--timeout", "3s", "peers", "--socket", path]);
  rude.close();
  assert.equal(code, 7, err);
  assert.match(err, /^vpnctl: vpnd does not answer\n/);
});

test("no access to the socket is exit 4 and names the group", () => {
  const error = explainConnect("/run/vpnd/vpnd.sock", Object.assign(new Error("x"), { code: "EACCES" }));
  assert.equal(error.exitCode, 4);
  assert.match(error.hint ?? "", /usermod -aG vpnd/);
  assert.equal(explainConnect("x", Object.assign(new Error("x"), { code: "EINVAL" })).exitCode, 2);
});

test("--debug prints code and causes", async () => {
  const { err } = await run("peer nobody --debug");
  assert.match(err, / {2}code: not-found\n/);
  assert.match(err, / {2}caused by: /);
});

test("Ctrl-C ends a watch with 130 and no words", async () => {
  const abort = new AbortController();
  const result = await run("peers --watch", { abort, onOut: () => abort.abort() });
  assert.equal(result.code, 130);
  assert.equal(result.err, "");
  assert.equal(result.out, table);
});

test("a watch redraws on a terminal only, and never with --json", async () => {
  const drawn = await run("-n once peers --watch", { columns: 200 });
  assert(drawn.out.startsWith("\u001b[2J\u001b[H"));
  const json = await run("-n once --json peers --watch", { columns: 200 });
  assert.equal(JSON.parse(json.out).schema, "vpnctl.peers/v1");
});

test("stats: once, lines in a pipe, sparklines on a terminal, NDJSON", async () => {
  const once = await run("stats");
  assert.equal(
    once.out,
    `network: home
  rx: 2.00 KiB, 2 packets
  tx: 0 B, 0 packets
IP        NAME  PATH    STATE  RTT      RX        TX   RX RATE  TX RATE
10.0.0.2  nas   direct  up     10.0 ms  2.00 KiB  0 B  -        -
drops: no-peer 1, replay 2
`,
  );
  const piped = (await run("stats --watch")).out.trimEnd().split("\n");
  assert.equal(piped.length, 3);
  assert.equal(piped[1], "2027-01-15T08:00:00.000Z  home  rx 2.00 KiB 0.98 KiB/s  tx 0 B 0 B/s  drops 3");
  const drawn = (await run("stats --watch", { columns: 100 })).out;
  assert(drawn.includes("▃█"), drawn);
  const documents = (await run("stats home --interval 200ms --json")).out
    .trimEnd()
    .split("\n")
    .map((l) => JSON.parse(l));
  assert.equal(documents.length, 3);
  assert.equal(documents[0].rates, undefined);
  assert.equal(documents[2].rates.rxBytesPerSecond, 4000);
  assert.deepEqual(documents[2].drops, { "no-peer": 1, replay: 2 });
});

test("ping prints answers and a summary", async () => {
  const { code, out } = await run("ping nas -c 2");
  assert.equal(code, 0);
  assert.equal(
    out,
    `nas (10.0.0.2): seq 1, 10.0 ms, direct 192.0.2.9:4000
nas (10.0.0.2): seq 2, 10.0 ms, direct 192.0.2.9:4000
# 2 sent, 2 answered, 0 % lost; least / mean / most 10.0 ms / 10.0 ms / 10.0 ms
`,
  );
});

test("the small commands", async () => {
  const expected: [string, string][] = [
    ["peer remove nas", "forgot the node key of 10.0.0.2 in home\n"],
    [
      "peer remove nas --dry-run",
      "would forget the node key of 10.0.0.2 in home\n# dry run: nothing was changed\n",
    ],
    ["leave home", "left home\n"],
    ["leave home --dry-run", "remove device vpn-home\n# dry run: nothing was changed\n"],
    ["up home", "home is already up: 10.0.0.1/16 on vpn-home\n"],
    ["down --all", "home is down\nlab is down\n"],
    ["ip", "10.0.0.1\n"],
    ["ip nas", "10.0.0.2\n"],
    ["wait --peers 1", "home is up, 1 peer\n"],
    ["version", "vpnctl 0.1.0\nvpnd 0.1.0 (Node 20.0.0, OpenSSL 3.0.0)\n"],
    [
      "psk status",
      "NETWORK  FINGERPRINT  USE        SINCE   ENDS  PEERS  WHO\nhome     abcd2345     preferred  1h ago  -     1      -\n",
    ],
  ];
  for (const [line, out] of expected) assert.deepEqual(await run(line), { code: 0, out, err: "" }, line);
  assert.match(
    (await run("peer nas")).out,
    /^peer: nas\n {2}network: home\n[\s\S]*latest handshake: 30s ago\n/,
  );
  assert.match((await run("peer show nas")).out, /^peer: nas\n/);
  assert.match(
    (await run("network home")).out,
    /server: 192\.0\.2\.1:9944 up, heard 2s ago\n[\s\S]*nobody has: 10\.0\.9\.9/,
  );
  assert.match((await run("status")).out, /^vpnd 0\.1\.0 is running \(pid 42, started 2h ago\)\nNETWORK/);
});

test("status --check", async () => {
  assert.equal((await run("status --check live")).code, 0);
  const ready = await run("status --check ready");
  assert.equal(ready.code, 9);
  assert.match(ready.err, /^vpnctl: lab is not up: connecting, timeout\n/);
  assert.equal((await run("-n home status --check ready")).code, 0);
  assert.equal((await run("-n nowhere status --check ready")).code, 6);
});

test("a vpnd of another version is mentioned on stderr", async () => {
  server.version = "9.9.9";
  const { err, code } = await run("status");
  server.version = "0.1.0";
  assert.equal(code, 0);
  assert.match(err, /^vpnctl: warning: vpnctl is 0\.1\.0, but vpnd is 9\.9\.9/);
});

test("psk generate needs no vpnd, and never replaces a file", async () => {
  const printed = await vpnctl(["psk", "generate"]);
  assert.match(printed.out, /^vpsk1_\S+\n$/);
  const path = join(server.folder, "new-key");
  const written = await vpnctl(["psk", "generate", "--out", path]);
  assert.match(written.out, /^wrote a new key to .*\n# psk fingerprint \S{8}\n$/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(readFileSync(path, "utf8"), printed.out);
  const again = await vpnctl(["psk", "generate", "--out", path]);
  assert.equal(again.code, 1);
  assert.match(again.err, /exists, and keys are never overwritten\n/);
});
