/** `vpnctl log` against a real PostgreSQL: what is asked is found, by whom it may be, whichever way. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Capture } from "../lab/capture.js";
import { run, waitFor } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import { addOldPart, Database } from "../lab/postgres.js";
import { type Daemon, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { type CopyResult, copyFile, ping } from "../lab/traffic.js";

interface Scene {
  database: Database;
  a: Daemon;
  b: Daemon;
  /** Has vpnctl and reaches the database; has no vpnd. */
  auditor: Host;
  /** What was sent from a to b before the first step. */
  copied: CopyResult;
}

interface Row {
  schema: string;
  time: string;
  sender: string;
  receiver?: string;
  packets: number;
  length: number;
  payloadState: string;
  protocol: string;
  source: string;
  destination: string;
  destinationPort?: number;
  tcp?: { flags: string };
  icmp?: { type: number };
}

const password = "of the log";
const vpnctl = join(repository, "bin/vpnctl");

function passwordFile(host: Host, text = password): string {
  const path = join(host.folder, "password");
  writeFileSync(path, `${text}\n`, { mode: 0o600 });
  return path;
}

const rowsOf = (text: string): Row[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

function packetsOf(pcap: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 24; at < pcap.length; ) {
    const length = pcap.readUInt32LE(at + 8);
    packets.push(pcap.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return packets;
}

/** What was sent over the one TCP connection of the packets. */
function stream(packets: readonly Buffer[]): Buffer {
  const first = packets.find((packet) => (packet.readUInt8(33) & 0x02) !== 0)?.readUInt32BE(24) ?? 0;
  const size = Math.max(...packets.map((packet) => endOf(packet, first)));
  const bytes = Buffer.alloc(size);
  for (const packet of packets) {
    const payload = packet.subarray(20 + (packet.readUInt8(32) >> 4) * 4);
    if (payload.length > 0) bytes.set(payload, (packet.readUInt32BE(24) - first - 1) >>> 0);
  }
  return bytes;
}

function endOf(packet: Buffer, first: number): number {
  const payload = packet.length - 20 - (packet.readUInt8(32) >> 4) * 4;
  return payload === 0 ? 0 : ((packet.readUInt32BE(24) - first - 1) >>> 0) + payload;
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** What tcpdump says of packets that it does not like. */
const complaints = /incorrect|\bbad |truncated|warning|\[\|/i;

/** A second opinion on a file of packets from 10.9.0.1, where there is a tshark: none is malformed, all checksums are right. */
async function readByTshark(file: string, packets: number): Promise<void> {
  const checks = ["ip", "tcp"].flatMap((layer) => ["-o", `${layer}.check_checksum:TRUE`]);
  const fields = ["_ws.malformed", "ip.checksum.status", "tcp.checksum.status", "ip.src"];
  const shown = fields.flatMap((field) => ["-e", field]);
  // Its port is that of a protocol which this is not.
  const plain = ["-d", "tcp.port==7000,data"];
  const read = await run("tshark", ["-n", "-r", file, ...plain, ...checks, "-T", "fields", ...shown]);
  if (read.code === 127) return;
  assert.equal(read.code, 0, read.stderr);
  const warnings = read.stderr
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("Running as user"));
  assert.deepEqual(warnings, []);
  const lines = read.stdout.trimEnd().split("\n");
  assert.equal(lines.length, packets);
  for (const line of lines) assert.match(line, /^\t(1|Good)\t(1|Good)\t10\.9\.0\.1$/);
}

labSuite<Scene>(
  "packet-log",
  async (lab) => {
    const host = await lab.publicHost("db");
    const database = await Database.create(host, host.address, ["shared_buffers=64MB", "max_connections=40"]);
    await database.makeLog("owner", password);
    const daemons: Daemon[] = [];
    for (const [index, name] of ["a", "b"].entries()) {
      const daemon = await vpnd(await lab.publicHost(name));
      const secret = ["--postgres-password-file", passwordFile(daemon.host)];
      const where = ["--postgres", database.url("owner"), "--vip", `10.9.0.${index + 1}/24`];
      await daemon.ok(["join", ...where, "--name", name === "a" ? "alpha" : "beta", ...secret]);
      daemons.push(daemon);
    }
    const [a, b] = daemons;
    assert.ok(a && b);
    await a.peerUp("10.9.0.2");
    const copied = await copyFile(a.host, b.host, "10.9.0.2", 2_000_000);
    assert.equal(copied.receivedSha256, copied.sentSha256);
    return { database, a, b, auditor: await lab.publicHost("auditor"), copied };
  },
  (step) => {
    step("packets are found by what they are", async ({ a, b }) => {
      // Three and no more; answers may be late.
      await ping(a.host, "10.9.0.2", { waitSeconds: 20 });
      await ping(b.host, "10.9.0.77", { count: 1, waitSeconds: 1 });
      const query = async (...args: string[]): Promise<Row[]> =>
        rowsOf(await a.ok(["--json", "log", "query", "--since", "10m", ...args]));
      const pings = () => query("--filter", "icmp and host 10.9.0.1");
      await waitFor(async () => (await pings()).length >= 6, 10_000, "all are answered", pings);
      const port = 7000;
      const back = `net 10.9.0.2/32 and src host 10.9.0.2 and portrange ${port}-${port}`;
      const [icmp, all, tcp, rest, there, answers, lost, text] = await Promise.all([
        pings(),
        query(),
        query("--filter", "tcp"),
        query("--filter", "not tcp"),
        query("--filter", `src 10.9.0.1 and tcp dst port ${port}`),
        query("--filter", back),
        query("--filter", "dst 10.9.0.77"),
        a.ok(["log", "query", "--filter", "icmp"]),
      ]);
      const asked = ["alpha", "beta", 8];
      const answered = ["beta", "alpha", 0];
      assert.deepEqual(icmp.map(({ sender, receiver, icmp }) => [sender, receiver, icmp?.type]).sort(), [
        asked,
        asked,
        asked,
        answered,
        answered,
        answered,
      ]);
      assert.ok(tcp.length > 4);
      assert.ok(tcp.every(({ protocol }) => protocol === "tcp"));
      assert.equal(tcp.length + rest.length, all.length);
      assert.equal(tcp[0]?.tcp?.flags, "S");
      assert.equal(there.length + answers.length, tcp.length);
      assert.notEqual(there.length * answers.length, 0);
      const supers = there.filter(({ packets }) => packets > 1);
      assert.notEqual(supers.length, 0, "no super-packet");
      assert.equal(lost.length, 1);
      assert.equal(lost[0]?.receiver, undefined);
      assert.match(text, /alpha > beta {2}10\.9\.0\.1 > 10\.9\.0\.2 icmp type 8/);
      const until = all[3]?.time ?? "";
      const [newest, before, after] = await Promise.all([
        a.ok(["--json", "log", "query", "--limit", "3"]),
        query("--until", until),
        a.ok(["--json", "log", "query", "--since", until]),
      ]);
      assert.deepEqual(rowsOf(newest), all.slice(-3));
      assert.deepEqual(
        before,
        all.filter(({ time }) => time < until),
      );
      assert.deepEqual(
        rowsOf(after),
        all.filter(({ time }) => time >= until),
      );
    });

    step(
      "an export is what was on the wire, and tcpdump has nothing to say against it",
      async ({ a, copied }) => {
        const file = join(a.host.folder, "log.pcap");
        const connection = ["--filter", "src 10.9.0.1 and tcp dst port 7000"];
        const told = await a.ok(["log", "export", "--pcap", file, ...connection]);
        const packets = packetsOf(readFileSync(file));
        assert.equal(told, `${packets.length} packets in ${file}\n`);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        const dump = await a.host.exec("tcpdump", ["-nn", "-vv", "-r", file]);
        assert.equal(dump.code, 0, dump.stderr);
        assert.match(dump.stderr, /link-type RAW/);
        const lines = (dump.stdout + dump.stderr).split("\n");
        const odd = lines.filter((line) => complaints.test(line));
        assert.deepEqual(odd, []);
        assert.equal(dump.stdout.match(/\(correct\)/g)?.length, packets.length);
        assert.ok(packets.every(({ length }) => length <= 1400));
        await readByTshark(file, packets.length);
        assert.equal(sha256(stream(packets)), copied.sentSha256);
        const piped = await a.host.exec("bash", [
          "-o",
          "pipefail",
          "-c",
          `"${vpnctl}" --socket "${a.socket}" log export --pcap - --filter icmp | tcpdump -nn -r -`,
        ]);
        assert.equal(piped.code, 0, piped.stderr);
        assert.equal(piped.stdout.match(/ICMP echo/g)?.length, 7);
        const json: { packets: number; payload: string }[] = (
          await a.ok(["log", "export", "--jsonl", ...connection])
        )
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line));
        assert.ok(json.every((one) => one.packets === 1));
        assert.equal(json.length, packets.length);
      },
    );

    step("an anonymous export has the traffic, and neither addresses nor payloads", async ({ a }) => {
      const file = join(a.host.folder, "anonymous.pcap");
      await a.ok(["log", "export", "--pcap", file, "--anonymise"]);
      const bytes = readFileSync(file);
      for (const last of [1, 2, 77])
        assert.ok(!bytes.includes(Buffer.of(10, 9, 0, last)), "an address is left");
      const dump = await a.host.exec("tcpdump", ["-nn", "-r", file]);
      assert.equal(dump.code, 0, dump.stderr);
      assert.doesNotMatch(dump.stdout, /10\.9\.0\./);
      assert.ok(packetsOf(bytes).every(({ length }) => length <= 80));
      const names = await a.ok(["log", "export", "--csv", "--anonymise", "--limit", "50"]);
      assert.doesNotMatch(names, /alpha|beta|10\.9\.0/);
      assert.match(names, /node-1,node-2/);
    });

    step(
      "sums of the log: who sent most, who spoke with whom, which connections there were",
      async ({ a }) => {
        const view = async <T>(name: string, ...args: string[]): Promise<T[]> =>
          (await a.ok(["--json", "log", "query", "--view", name, "--since", "10m", ...args]))
            .split("\n")
            .filter((line) => line !== "")
            .map((line) => JSON.parse(line));
        const tcp = ["--filter", "tcp port 7000"];
        const [first] = await view<{ address: string; node: string; sentBytes: number; peers: number }>(
          "talkers",
          ...tcp,
        );
        assert.deepEqual([first?.address, first?.node, first?.peers], ["10.9.0.1", "alpha", 1]);
        assert.ok((first?.sentBytes ?? 0) > 2_000_000, `${first?.sentBytes}`);
        const connections = await view<{
          source: string;
          destinationPort: number;
          state: string;
          packets: number;
        }>("connections", ...tcp);
        assert.deepEqual(
          connections.map(({ source, destinationPort, state }) => [source, destinationPort, state]),
          [["10.9.0.1", 7000, "closed"]],
        );
        const conversations = await view<{ sentPackets: number; returnedPackets: number }>(
          "conversations",
          ...tcp,
        );
        assert.equal(conversations.length, 1);
        const lines =
          (await a.ok(["log", "export", "--csv", "--since", "10m", ...tcp])).trimEnd().split("\n").length - 1;
        const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
        assert.equal(
          sum(conversations.map(({ sentPackets, returnedPackets }) => sentPackets + returnedPackets)),
          lines,
        );
        assert.equal(sum(connections.map(({ packets }) => packets)), lines);
        const pings = await view<{ protocol: string; sentPackets: number; returnedPackets: number }>(
          "conversations",
          "--filter",
          "icmp and host 10.9.0.1",
        );
        assert.deepEqual(
          pings.map(({ protocol, sentPackets, returnedPackets }) => [protocol, sentPackets, returnedPackets]),
          [["icmp", 3, 3]],
        );
        assert.match(await a.ok(["log", "query", "--view", "connections"]), /10\.9\.0\.2:7000 +closed/);
      },
    );

    step(
      "a conversation that is sent once more is seen by its target, and is in the log again",
      async ({ a, b }) => {
        const pings = ["--filter", "icmp", "--limit", "6"];
        const replay = ["log", "replay", "--to", "beta", ...pings];
        const told = await a.json<{ packets: number; seconds: number }>([...replay, "--dry-run"]);
        assert.equal(told.packets, 3);
        assert.ok(told.seconds > 0.3 && told.seconds < 5, `${told.seconds} s`);
        const before = rowsOf(
          await a.ok(["--json", "log", "query", "--since", "10m", "--filter", "icmp"]),
        ).length;
        const capture = await Capture.start(b.host, "vpn-default", "in", "icmp[icmptype] == 8");
        const { packets } = await a.json<{ packets: number }>([...replay, "--speed", "0"]);
        assert.equal(packets, 3);
        // The target answers each of them again.
        await waitFor(
          async () =>
            rowsOf(await a.ok(["--json", "log", "query", "--since", "10m", "--filter", "icmp"])).length ===
            before + 6,
          10_000,
          "questions and answers are in the log again",
        );
        assert.equal((await capture.packets()).length, 3);
        const unknown = await a.ctl(["log", "replay", "--to", "nobody"]);
        assert.equal(unknown.code, 1);
        assert.match(unknown.stderr, /no peer nobody/);
      },
    );

    step("old parts are dropped by the owner and by nobody else", async ({ database, a, auditor }) => {
      const node = await database.sql("SELECT id FROM vpnd.node WHERE name = 'alpha'");
      await addOldPart(database, node);
      await database.sql("CREATE ROLE nobody LOGIN PASSWORD 'n'");
      const older = ["log", "prune", "--before", "1h"];
      const place = [
        "--postgres",
        database.url("nobody"),
        "--postgres-password-file",
        passwordFile(auditor, "n"),
      ];
      const refused = await auditor.exec(vpnctl, [...older, ...place]);
      assert.equal(refused.code, 4, refused.stderr);
      assert.match(await a.ok([...older, "--dry-run"]), /alpha .*would be dropped/);
      assert.equal(await database.sql("SELECT to_regclass('vpnd.old') IS NULL"), "f");
      assert.match(await a.ok(older), /alpha .*dropped/);
      assert.equal(await database.sql("SELECT to_regclass('vpnd.old') IS NULL"), "t");
      assert.ok(rowsOf(await a.ok(["--json", "log", "query"])).length > 0);
    });

    step("an auditor asks the database itself, and gets the same", async ({ database, a, auditor }) => {
      const place = ["--postgres", database.url("owner"), "--postgres-password-file", passwordFile(auditor)];
      const ask = ["--json", "log", "query", "--since", "10m", "--filter", "icmp or udp"];
      const direct = await auditor.exec(vpnctl, [...ask, ...place]);
      assert.equal(direct.code, 0, direct.stderr);
      assert.equal(rowsOf(direct.stdout).length, rowsOf(await a.ok(ask)).length);
      const wrong = ["--postgres", database.url("owner"), "--postgres-password-file"];
      const refused = await auditor.exec(vpnctl, ["log", "query", ...wrong, passwordFile(auditor, "wrong")]);
      assert.equal(refused.code, 4, refused.stderr);
      assert.match(refused.stderr, /user or the password/);
    });

    step("what is typed is a question and nothing else", async ({ database, a, auditor }) => {
      const rows = await database.sql("SELECT count(*) FROM vpnd.packet");
      for (const [filter, column] of [
        ["host 10.9.0.1'; DROP TABLE vpnd.packet; --", 6],
        ["tcp port 443 or 1=1", 17],
        ["$1::inet", 1],
      ] as const) {
        const result = await a.ctl(["log", "query", "--filter", filter]);
        assert.equal(result.code, 2, result.stderr);
        assert.match(result.stderr, new RegExp(`column ${column}:`));
      }
      const network = `x' OR 'a' = 'a`;
      const place = ["--postgres", database.url("owner"), "--postgres-password-file", passwordFile(auditor)];
      const found = await auditor.exec(vpnctl, ["log", "query", network, ...place]);
      assert.deepEqual([found.code, found.stdout], [0, `# no such packets in the log of ${network}\n`]);
      assert.equal(await database.sql("SELECT count(*) FROM vpnd.packet"), rows);
    });

    step("what comes is shown as it comes, once, by filter", async ({ a, b }) => {
      const tail = a.host.spawn("tail", vpnctl, [
        "--socket",
        a.socket,
        "--json",
        "log",
        "tail",
        "--filter",
        "icmp and src 10.9.0.2",
        "--limit",
        "1",
      ]);
      await tail.until(() => rowsOf(tail.log).length === 1, 10_000, "the newest packet is shown");
      await ping(b.host, "10.9.0.1", { count: 4, waitSeconds: 20 });
      await tail.until(() => rowsOf(tail.log).length >= 5, 10_000, "four packets follow");
      tail.kill("SIGINT");
      assert.equal(await tail.ended(), 130);
      assert.deepEqual(
        rowsOf(tail.log)
          .slice(1)
          .map(({ icmp }) => icmp?.type),
        [8, 8, 8, 8],
      );
    });

    step("a member sees its own packets; who may only look sees none", async ({ database, auditor }) => {
      await database.sql("CREATE ROLE member LOGIN PASSWORD 'm'");
      await database.sql("SET ROLE owner; SELECT vpnd.add_member('default', 'member', '10.9.0.3', 'gamma')");
      const place = [
        "--postgres",
        database.url("member"),
        "--postgres-password-file",
        passwordFile(auditor, "m"),
      ];
      const ask = () => auditor.exec(vpnctl, ["--json", "log", "query", "--since", "10m", ...place]);
      assert.deepEqual(rowsOf((await ask()).stdout), []);
      const ids = await database.sql(
        "SELECT string_agg(id::text, ' ' ORDER BY address DESC) FROM vpnd.node WHERE name IN ('gamma', 'alpha')",
      );
      const [node, target] = ids.split(" ");
      const row = `INSERT INTO vpnd.packet_${node} (sender, session, seq, sent, receiver, kind, payload)
        VALUES (${node}, 1000, 1, now(), ${target}, 2, '\\x00')`;
      assert.equal(
        (
          await database.asRole(
            "member",
            "m",
            `SELECT vpnd.open_session('default', '10.9.0.3', 'gamma', '', true, NULL, NULL); ${row}`,
          )
        ).code,
        0,
      );
      const [own, ...others] = rowsOf((await ask()).stdout);
      assert.deepEqual([own?.sender, own?.receiver, own?.packets, others.length], ["gamma", "alpha", 0, 0]);
    });

    step("an auditor's role sees all of its network, of no other one, and writes nothing", async (scene) => {
      const { database, a, auditor } = scene;
      await database.sql("CREATE ROLE looker LOGIN PASSWORD 'l'");
      await database.sql("SET ROLE owner; SELECT vpnd.add_auditor('default', 'looker')");
      const secret = ["--postgres-password-file", passwordFile(auditor, "l")];
      const place = (network: string) => [
        "--postgres",
        `${database.url("looker")}&network=${network}`,
        ...secret,
      ];
      const ask = async (network = "default") =>
        rowsOf(
          (await auditor.exec(vpnctl, ["--json", "log", "query", "--limit", "20", ...place(network)])).stdout,
        );
      const all = rowsOf(await a.ok(["--json", "log", "query", "--limit", "20"]));
      assert.equal(all.length, 20);
      assert.deepEqual(await ask(), all);
      await database.sql("SET ROLE owner; SELECT vpnd.add_member('other', 'owner', '10.7.0.1', 'omega')");
      assert.deepEqual(await ask("other"), []);
      for (const wrong of [
        "SELECT vpnd.open_session('default', '10.9.0.1', 'x', '', true, NULL, NULL)",
        "SELECT vpnd.add_auditor('other', 'looker')",
        "SELECT vpnd.prune('default', now(), false)",
        "DELETE FROM vpnd.log",
        "SELECT * FROM vpnd.packet",
      ]) {
        const refused = await database.asRole("looker", "l", wrong);
        assert.match(refused.stderr, /permission denied|does not own|has no|may not|cannot delete/, wrong);
      }
      await database.sql("SET ROLE owner; SELECT vpnd.remove_auditor('default', 'looker')");
      assert.deepEqual(await ask(), []);
    });

    step("encrypted payloads are opened by who has the key", async ({ database, a, auditor }) => {
      const key = join(auditor.folder, "key");
      writeFileSync(key, await pskGenerate(), { mode: 0o600 });
      const url = `${database.url("owner")}&network=sealed`;
      const secret = ["--postgres-password-file", passwordFile(a.host), "--psk-file", key];
      await a.ok(["join", "sealed", "--postgres", url, "--vip", "10.8.0.1/24", ...secret]);
      await ping(a.host, "10.8.0.9", { count: 1, waitSeconds: 1 });
      const ask = ["--json", "log", "query", "--filter", "icmp"];
      const states = (text: string) => rowsOf(text).map(({ payloadState }) => payloadState);
      assert.deepEqual(states(await a.ok([...ask, "sealed"])), ["kept"]);
      const place = ["--postgres", url, "--postgres-password-file", passwordFile(auditor)];
      const blind = await auditor.exec(vpnctl, [...ask, ...place]);
      assert.deepEqual(states(blind.stdout), ["encrypted"], blind.stderr);
      const open = await auditor.exec(vpnctl, [...ask, ...place, "--psk-file", key]);
      assert.deepEqual(states(open.stdout), ["kept"], open.stderr);
      await database.sql("UPDATE vpnd.packet SET ttl = ttl - 1 WHERE destination = '10.8.0.9'");
      assert.deepEqual(states(await a.ok([...ask, "sealed"])), ["altered"]);
      await a.ok(["leave", "sealed"]);
    });
  },
);
