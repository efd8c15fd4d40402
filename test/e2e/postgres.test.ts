/** Networks over PostgreSQL: traffic, the log, roles, faults, rows of strangers. A real database, two NATs that let nothing else through. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Capture } from "../lab/capture.js";
import { waitFor } from "../lab/command.js";
import type { Host } from "../lab/lab.js";
import { captured, logged } from "../lab/packet-log.js";
import { addOldPart, Database } from "../lab/postgres.js";
import { type Daemon, vpnd } from "../lab/programs.js";
import { SteadyTcp } from "../lab/steady-tcp.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping, reachable } from "../lab/traffic.js";

interface Scene {
  database: Database;
  a: Daemon;
  b: Daemon;
  c: Daemon;
}

interface NetworkDocument {
  state: string;
  carrier: string;
  reason?: { code: string };
  notes: string[];
  postgres?: { url: string; fast: boolean };
}

const password = "of the log";

function passwordFile(host: Host, text = password): string {
  const path = join(host.folder, "password");
  writeFileSync(path, `${text}\n`, { mode: 0o600 });
  return path;
}

function joinArgs(daemon: Daemon, database: Database, vip: string, name: string, query?: string): string[] {
  const secret = ["--postgres-password-file", passwordFile(daemon.host)];
  return ["join", "--postgres", database.url("owner", query), "--vip", vip, "--name", name, ...secret];
}

async function count(database: Database, where: string): Promise<number> {
  return Number(await database.sql(`SELECT count(*) FROM vpnd.packet WHERE ${where}`));
}

labSuite<Scene>(
  "postgres",
  async (lab) => {
    const host = await lab.publicHost("db");
    // The nodes can reach the database and nothing else: not even each other.
    const [left, right] = [await lab.router("left", "symmetric"), await lab.router("right", "symmetric")];
    const block =
      "add table inet no_udp; add chain inet no_udp f { type filter hook forward priority 0; }; add rule inet no_udp f meta l4proto udp drop";
    for (const router of [left, right]) await router.nft(block);
    const database = await Database.create(host, host.address, ["shared_buffers=64MB", "max_connections=40"]);
    await database.makeLog("owner", password);
    const [a, b] = [await lab.hostBehind("a", left), await lab.hostBehind("b", right)];
    return { database, a: await vpnd(a), b: await vpnd(b), c: await vpnd(await lab.publicHost("c")) };
  },
  (step) => {
    step(
      "the first one makes the schema, the second one finds it, both ways carry",
      async ({ database, a, b }) => {
        const joined = await a.json<NetworkDocument>(joinArgs(a, database, "10.9.0.1/24", "alpha"));
        assert.equal(joined.state, "up");
        const verified = `sslmode=verify-full&sslrootcert=${database.certificate}`;
        await b.ok(joinArgs(b, database, "10.9.0.2/24", "beta", verified));
        assert.match(await b.ok(["network"]), /TLS_AES/);
        assert.doesNotMatch(await b.ok(["network"]), /not encrypted/);
        assert.match(await a.ok(["network"]), /not encrypted/);
        await a.peer("10.9.0.2", (one) => one.state === "up" && one.name === "beta", 20_000, "as beta");
        const peer = await b.peerUp("10.9.0.1");
        assert.equal(peer.path, "postgres");
        await reachable(a.host, "10.9.0.2");
        assert.equal((await ping(b.host, "10.9.0.1", { size: 1372, dontFragment: true })).received, 3);
        assert.match(await a.ok(["ping", "beta", "-c", "1"]), /postgres/);
        const document = await a.json<NetworkDocument>(["network"]);
        assert.equal(document.carrier, "postgres");
        assert.ok(!JSON.stringify(document).includes(password), "the password is shown");
        assert.match(await a.ok(joinArgs(a, database, "10.9.0.1/24", "alpha")), /already joined/);
      },
    );

    step(
      "TCP both ways; what left a device is in the log, once, and nothing else is",
      async ({ database, a, b }) => {
        await database.sql("TRUNCATE vpnd.packet");
        const captures = [
          { node: "10.9.0.1", capture: await Capture.start(a.host, "vpn-default", "out") },
          { node: "10.9.0.2", capture: await Capture.start(b.host, "vpn-default", "out") },
        ];
        for (const [from, to, address] of [
          [a, b, "10.9.0.2"],
          [b, a, "10.9.0.1"],
        ] as const) {
          const copied = await copyFile(from.host, to.host, address, 8_000_000);
          assert.equal(copied.receivedSha256, copied.sentSha256);
        }
        await ping(a.host, "10.9.0.2", { size: 1000 });
        // Nobody has this address; that somebody asked for it is in the log all the same.
        await ping(a.host, "10.9.0.77", { count: 1, waitSeconds: 1 });
        for (const { node, capture } of captures) {
          const left = captured(await capture.packets());
          assert.ok(left.size > 20, `${left.size} packets`);
          assert.deepEqual(await logged(database, node), left);
        }
        assert.ok((await a.stats()).drops["no-such-peer"], JSON.stringify(await a.stats()));
        assert.equal(
          await database.sql("SELECT count(*) - count(DISTINCT (session, seq)) FROM vpnd.packet"),
          "0",
        );
      },
    );

    step(
      "a database that stops makes the tunnel wait, and says so; it goes on by itself",
      async ({ database, a, b }) => {
        await database.stop();
        const down = await waitFor(
          async () => {
            const document = await a.json<NetworkDocument>(["network"]);
            return document.state === "connecting" && document;
          },
          20_000,
          "a says that it waits",
        );
        assert.ok(
          ["database-down", "unreachable"].includes(down.reason?.code ?? ""),
          JSON.stringify(down.reason),
        );
        const peer = await a.peer("10.9.0.2", (one) => one.state === "connecting", 20_000, "connecting");
        assert.ok(peer.reason?.message, JSON.stringify(peer));
        // What is sent meanwhile waits in the device.
        const waits = ping(a.host, "10.9.0.2", { count: 3, waitSeconds: 60 });
        await database.start();
        assert.equal((await waits).received, 3);
        await a.peerUp("10.9.0.2");
        await reachable(b.host, "10.9.0.1");
      },
    );

    step(
      "kill -9 of the database and of either vpnd: TCP goes on, what was delivered is in the log",
      async (scene) => {
        const { database, a, b } = scene;
        const capture = await Capture.start(b.host, "vpn-default", "in", "icmp", 2000);
        const steady = await SteadyTcp.start(a.host, b.host, "10.9.0.2");
        const flood = a.host.spawn("ping", "ping", ["-i", "0.01", "10.9.0.2"]);
        try {
          await steady.goesOn();
          await database.crash();
          await database.start();
          await steady.goesOn(50);
          await a.crash();
          await a.start();
          await steady.goesOn(50);
        } finally {
          flood.kill("SIGKILL");
        }
        // Its own device goes with it, so the capture ends before.
        const delivered = (await capture.packets()).map((packet) => packet.subarray(20).toString("hex"));
        await b.crash();
        await b.start();
        await steady.goesOn(50);
        steady.stop();
        assert.ok(delivered.length > 50, `${delivered.length} delivered`);
        assert.equal(new Set(delivered).size, delivered.length, "something was delivered twice");
        const messages = `SELECT '0800' || lpad(to_hex(checksum), 4, '0') || encode(payload, 'hex')
                        FROM vpnd.log WHERE source = '10.9.0.1' AND icmp_type = 8`;
        const logged = new Set((await database.sql(messages)).split("\n"));
        assert.deepEqual(
          delivered.filter((message) => !logged.has(message)),
          [],
        );
      },
    );

    step(
      "a role that is no member reads and writes nothing, a member only its own",
      async ({ database, a, c }) => {
        await database.sql(
          `CREATE ROLE nobody LOGIN PASSWORD 'x'; CREATE ROLE "we""ird'; --" LOGIN PASSWORD 'y'`,
        );
        for (const text of [
          "SELECT count(*) FROM vpnd.packet",
          "SELECT count(*) FROM vpnd.log",
          "SELECT * FROM vpnd.node",
          "SELECT vpnd.fetch_2(1, 1, 0, 10)",
          "INSERT INTO vpnd.packet_1 (sender, session, seq, sent, kind, payload) VALUES (1, 1, 1, now(), 2, '')",
          "SELECT vpnd.open_session('default', '10.9.0.66', 'x', '', true, NULL, NULL)",
          "SELECT vpnd.add_member('default', 'nobody', '10.9.0.66')",
        ]) {
          const result = await database.asRole("nobody", "x", text);
          assert.match(result.stderr, /permission denied/, `${text}: ${result.stdout}`);
        }
        // Nobody listens at the first of its servers.
        const url = database.url(encodeURIComponent(`we"ird'; --`)).replace("@", `@${database.address}:9,`);
        const secret = ["--postgres-password-file", passwordFile(c.host, "y")];
        const join = [
          "--timeout",
          "8s",
          "join",
          "--postgres",
          url,
          "--vip",
          "10.9.0.3/24",
          "--name",
          "gamma",
          ...secret,
        ];
        const refused = await c.ctl([...join.slice(0, -1), passwordFile(c.host, "wrong")]);
        assert.equal(refused.code, 1, refused.stderr);
        assert.match(refused.stderr, /user or the password/);
        const silent = await c.ctl(join.slice(0, -2));
        assert.match(silent.stderr, /asks for a password.*\n.*--postgres-password-file/, silent.stderr);
        const early = await c.ctl([...join.slice(0, -1), passwordFile(c.host, "y")]);
        assert.equal(early.code, 1, early.stderr);
        assert.match(early.stderr, /may not do this/);
        const member = await database.asRole(
          "owner",
          password,
          `SELECT vpnd.add_member('default', 'we"ird''; --', '10.9.0.3', 'gamma')`,
        );
        assert.equal(member.code, 0, member.stderr);
        await c.ok(join);
        await reachable(c.host, "10.9.0.1");
        const as = (text: string) => database.asRole(`we"ird'; --`, "y", text);
        const [mine, all] = [
          Number((await as("SELECT count(*) FROM vpnd.log")).stdout),
          await count(database, "true"),
        ];
        assert.ok(mine > 0 && mine < all, `${mine} of ${all}`);
        const foreign =
          "SELECT count(*) FROM vpnd.log WHERE NOT (source = '10.9.0.3' OR destination = '10.9.0.3')";
        assert.equal((await as(foreign)).stdout.trim(), "0");
        const node = await database.sql("SELECT id FROM vpnd.node WHERE name = 'gamma'");
        for (const text of [
          "SELECT count(*) FROM vpnd.packet",
          `DELETE FROM vpnd.packet_${node}`,
          "SELECT * FROM vpnd.fetch_2(1, 1, 0, 10)",
          "SELECT vpnd.keep('default', '1 minute', 1)",
          "INSERT INTO vpnd.packet_1 (sender, session, seq, sent, kind, payload) VALUES (1, 1, 1, now(), 2, '')",
        ]) {
          assert.match((await as(text)).stderr, /permission denied|role .* is not node|does not own/, text);
        }
        // Functions that run as the owner do not take its types and tables for those of the system.
        const own = "CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (false)";
        const asOwner = await as(`${own}; SELECT vpnd.count_stale(${node}, 1, 1, 0, 0)`);
        assert.equal(asOwner.code, 0, asOwner.stderr);
        const open = `SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = 'vpnd'::regnamespace
          AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']`;
        assert.equal(await database.sql(open), "");
        // As somebody else in its own part of the log: the partition takes one sender.
        const posing = `INSERT INTO vpnd.packet_${node} (sender, session, seq, sent, kind, payload) VALUES (1, 1, 1, now(), 2, '')`;
        assert.match((await as(posing)).stderr, /partition/);
        await a.peerUp("10.9.0.3");
      },
    );

    step(
      "poisoned rows of a member are refused and counted, and disturb nobody",
      async ({ database, a, b }) => {
        const [node, target] = (
          await database.sql(
            "SELECT string_agg(id::text, ' ' ORDER BY address DESC) FROM vpnd.node WHERE name IN ('gamma', 'alpha')",
          )
        ).split(" ");
        const session = await database.sql(`SELECT max(id) FROM vpnd.session WHERE node = ${node}`);
        const poison = (columns: string, values: string) =>
          database.asRole(
            `we"ird'; --`,
            "y",
            `INSERT INTO vpnd.packet_${node} (sender, session, seq, sent, receiver, kind, ${columns})
           VALUES (${node}, ${session}, 1000000 + floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, now(), ${target}, ${values})`,
          );
        const udp =
          "version, ihl, tos, total_length, identification, flags, fragment_offset, ttl, protocol, header_checksum, source, destination, payload";
        const before = await a.stats();
        for (const [columns, values] of [
          // A packet of somebody else.
          [udp, "0, 4, 5, 0, 24, 1, 0, 0, 64, 17, 0, '10.9.0.2', '10.9.0.1', '\\x00000000'"],
          // For somebody else.
          [udp, "0, 4, 5, 0, 24, 1, 0, 0, 64, 17, 0, '10.9.0.3', '10.9.0.2', '\\x00000000'"],
          // Lengths that do not fit, a version that there is not, nothing at all.
          [udp, "0, 4, 5, 0, 9999, 1, 0, 0, 64, 17, 0, '10.9.0.3', '10.9.0.1', '\\x00000000'"],
          [udp, "0, 5, 5, 0, 24, 1, 0, 0, 64, 17, 0, '10.9.0.3', '10.9.0.1', '\\x00000000'"],
          [udp, "0, 4, 15, 0, 24, 1, 0, 0, 64, 17, 0, '10.9.0.3', '10.9.0.1', '\\x00000000'"],
          ["payload", "2, ''"],
          ["payload", "77, '\\x4500'"],
          ["payload", "3, '\\x01'"],
        ] as const) {
          const result = await poison(columns, values);
          assert.equal(result.code, 0, `${values}: ${result.stderr}`);
        }
        const large = await poison("payload", "2, decode(repeat('00', 70000), 'hex')");
        assert.match(large.stderr, /check constraint/);
        await database.asRole(`we"ird'; --`, "y", `NOTIFY vpnd_node_${target}, '${session}'`);
        await database.asRole(
          `we"ird'; --`,
          "y",
          `NOTIFY vpnd_node_${target}, 'x''; DROP TABLE vpnd.packet'`,
        );
        const drops = await waitFor(
          async () => {
            const { drops } = await a.stats();
            const gained = (reason: string): number => (drops[reason] ?? 0) - (before.drops[reason] ?? 0);
            const enough =
              gained("foreign-source") >= 1 &&
              gained("foreign-destination") >= 1 &&
              gained("malformed-row") >= 4;
            return enough && drops;
          },
          20_000,
          "the rows are counted",
          async () => (await a.stats()).drops,
        );
        assert.ok(drops);
        assert.ok((await ping(b.host, "10.9.0.1")).received > 0);
      },
    );

    step(
      "a right that is gone, and a database that takes no writes, are named; both go on by themselves",
      async ({ database, a, c }) => {
        const because = (daemon: Daemon, code: string) =>
          waitFor(
            async () => (await daemon.json<NetworkDocument>(["network"])).reason?.code === code,
            30_000,
            `${daemon.host.name} waits because of ${code}`,
            () => daemon.json<NetworkDocument>(["network"]),
          );
        await database.sql("UPDATE vpnd.node SET role = 'postgres' WHERE name = 'gamma'");
        await because(c, "not-permitted");
        await database.sql(`UPDATE vpnd.node SET role = 'we"ird''; --' WHERE name = 'gamma'`);
        await c.peerUp("10.9.0.1");
        const backends =
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'vpnd%'";
        await database.sql(`ALTER DATABASE vpnd SET default_transaction_read_only = on; ${backends}`);
        await because(a, "read-only");
        await database.sql(
          `SET default_transaction_read_only = off; ALTER DATABASE vpnd RESET default_transaction_read_only; ${backends}`,
        );
        await a.peerUp("10.9.0.3");
        await reachable(c.host, "10.9.0.1");
        await c.ok(["leave"]);
      },
    );

    step(
      "a part of the log that is over gets its indexes, and goes when its time is over; a living one stays",
      async ({ database }) => {
        const node = await database.sql("SELECT id FROM vpnd.node WHERE name = 'alpha'");
        await addOldPart(database, node);
        const reading = `SELECT count(*) FROM vpnd.fetch_${node}(${node}, 1, 0, 1); SELECT count(*) FROM vpnd.others(${node})`;
        const locked = "SELECT count(*) FROM pg_locks WHERE relation = 'vpnd.old'::regclass";
        const answers = await database.sql(`BEGIN; ${reading}; ${locked}; COMMIT`);
        assert.equal(answers.split("\n").at(-1), "0", "who reads new packets locks old parts");
        await database.sql(`SELECT vpnd.tidy(${node})`);
        assert.equal(await database.sql("SELECT closed FROM vpnd.part WHERE name = 'old'"), "t");
        assert.equal(await database.sql("SELECT count(*) FROM pg_indexes WHERE tablename = 'old'"), "4");
        const rows = await count(database, "at > now() - interval '1 hour'");
        await database.sql(`SELECT vpnd.keep('default', '1 hour', NULL), vpnd.tidy(${node})`);
        assert.equal(await database.sql("SELECT to_regclass('vpnd.old') IS NULL"), "t");
        assert.equal(await database.sql("SELECT count(*) FROM vpnd.part WHERE name = 'old'"), "0");
        assert.ok((await count(database, "at > now() - interval '1 hour'")) >= rows);
        assert.equal(await database.sql("SELECT period FROM vpnd.network"), "00:05:00");
      },
    );

    step(
      "an address that is held is refused by its holder's name; leaving leaves nothing",
      async ({ database, a, b, c }) => {
        const taken = await c.ctl(joinArgs(c, database, "10.9.0.1/24", "thief"));
        assert.equal(taken.code, 1, taken.stderr);
        assert.match(taken.stderr, /alpha/);
        await b.ok(["leave"]);
        await a.peer("10.9.0.2", (one) => one.state === "offline", 20_000, "offline");
        await a.ok(["leave"]);
        for (const { host } of [a, b, c]) assert.doesNotMatch(await host.ip("-br", "link"), /vpn-/);
      },
    );
  },
);
