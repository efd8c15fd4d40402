/**
 * What can happen to a network over PostgreSQL: the tunnel waits, says why, and goes on. Most of it is waiting, so four networks have their
 * faults at the same time. All the while one node's clock is a day behind.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { keyFile } from "../lab/carriers.js";
import { must, waitFor } from "../lab/command.js";
import type { Host } from "../lab/lab.js";
import { Database } from "../lab/postgres.js";
import { Daemon, type PeersJson, type StatsJson, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping, reachable } from "../lab/traffic.js";

/** Two nodes in a database of its own: `a` as the owner of the log, `b` as a member. */
interface Net {
  name: string;
  addresses: { a: string; b: string };
}

interface Scene {
  /** Of a pair; `second` is a standby at first. */
  first: Database;
  second: Database;
  a: Daemon;
  b: Daemon;
  /** The member of the fourth network. */
  c: Daemon;
  one: Net;
  two: Net;
  three: Net;
  four: Net;
}

interface NetworkDocument {
  state: string;
  reason?: { code: string };
}

const password = "of the log";

const netOf = (index: number, name: string): Net => ({
  name,
  addresses: { a: `10.9.${index}.1`, b: `10.9.${index}.2` },
});

async function joined(daemon: Daemon, { first, second }: Scene, net: Net, role: string, address: string) {
  const file = keyFile(daemon.host, "password", password);
  // The standby comes first: it is there, and takes no writes.
  const url = `postgres://${role}@${second.address},${first.address}/${net.name}?sslmode=disable`;
  const where = ["join", net.name, "--postgres", url, "--postgres-password-file", file];
  await daemon.ok([...where, "--vip", `${address}/24`, "--name", daemon.host.name]);
}

/** The other node, as a node sees it, is what the condition wants. */
async function peer(daemon: Daemon, net: Net, state: string, code?: string): Promise<PeersJson["peers"][0]> {
  let last: PeersJson | undefined;
  return waitFor(
    async () => {
      last = await daemon.json<PeersJson>(["peers", net.name]);
      const [other] = last.peers;
      return other?.state === state && other.reason?.code === code && other;
    },
    30_000,
    `${daemon.host.name} sees its peer in ${net.name} ${state} ${code ?? ""}`,
    () => last?.peers,
  );
}

function because(daemon: Daemon, net: Net, ...codes: string[]): Promise<unknown> {
  let last: NetworkDocument | undefined;
  return waitFor(
    async () => {
      last = await daemon.json<NetworkDocument>(["network", net.name]);
      return last.state === "connecting" && codes.includes(last.reason?.code ?? "");
    },
    30_000,
    `${net.name} of ${daemon.host.name} waits because of ${codes.join(" or ")}`,
    () => last,
  );
}

const admit = ({ name, addresses }: Net): string =>
  `SELECT vpnd.add_member('${name}', 'guest', '${addresses.b}', 'b')`;

async function asOwner(database: Database, net: Net, text: string): Promise<void> {
  await database.sql(`SET SESSION AUTHORIZATION owner; ${text}`, net.name);
}

const stale = async (daemon: Daemon, net: Net): Promise<number> =>
  (await daemon.json<StatsJson>(["stats", net.name])).drops.stale ?? 0;

/** Unmounted when the test ends, however it ends. */
const smallDisk = mkdtempSync(join(tmpdir(), "vd-small-"));

async function mountSmallDisk(): Promise<void> {
  await must("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", smallDisk]);
  await must("chown", ["postgres:postgres", smallDisk]);
  process.once("exit", () => {
    execFileSync("umount", ["-l", smallDisk]);
    rmdirSync(smallDisk);
  });
}

/** Its clock is a day behind. */
async function lateVpnd(host: Host): Promise<Daemon> {
  const clock = join(host.folder, "clock");
  writeFileSync(clock, String(-86_400_000));
  const hook = fileURLToPath(new URL("clock-jump.mjs", import.meta.url));
  const daemon = new Daemon(host);
  process.env.VPND_TEST_CLOCK = clock;
  process.env.NODE_OPTIONS = `--import=${hook}`;
  try {
    await daemon.start();
  } finally {
    delete process.env.VPND_TEST_CLOCK;
    delete process.env.NODE_OPTIONS;
  }
  return daemon;
}

/** A role that may not log in any more. */
async function lockedOut({ second, b, one }: Scene): Promise<void> {
  const ends =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'guest' AND datname = current_database()";
  await second.sql(`REVOKE CONNECT ON DATABASE one FROM PUBLIC, guest; ${ends}`, one.name);
  await because(b, one, "not-permitted");
  await second.sql("GRANT CONNECT ON DATABASE one TO guest", one.name);
  await peer(b, one, "up");
}

/** A schema that is gone: a member waits for its owner, who makes it anew. Then its disk is full. */
async function dropped({ second, a, b, two }: Scene): Promise<void> {
  await second.sql(`CREATE TABLESPACE small LOCATION '${smallDisk}'`, two.name);
  await second.sql(
    "ALTER DATABASE two SET default_tablespace = small; GRANT CREATE ON TABLESPACE small TO owner",
    two.name,
  );
  await a.ok(["down", two.name]);
  await second.sql("DROP SCHEMA vpnd CASCADE", two.name);
  await because(b, two, "no-schema");
  await a.ok(["up", two.name]);
  await because(b, two, "not-permitted");
  await asOwner(second, two, admit(two));
  await peer(b, two, "up");
  await reachable(a.host, two.addresses.b);
  const copied = copyFile(a.host, b.host, two.addresses.b, 40_000_000, 120_000);
  await because(a, two, "disk-full");
  await peer(a, two, "connecting", "disk-full");
  await must("mount", ["-o", "remount,size=400m", smallDisk]);
  const { sentSha256, receivedSha256 } = await copied;
  assert.equal(receivedSha256, sentSha256);
}

/** Notifications that nobody hears: packets are looked for. */
async function unheard({ second, a, three }: Scene): Promise<void> {
  const body = await second.sql("SELECT prosrc FROM pg_proc WHERE proname = 'alive'", three.name);
  await second.sql("CREATE TABLE vpnd.deaf (node integer); ALTER TABLE vpnd.deaf OWNER TO owner", three.name);
  await second.sql(
    `CREATE OR REPLACE FUNCTION vpnd.alive(me integer, my_session bigint) RETURNS text
       LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
       ${body.replace("BEGIN", "BEGIN UNLISTEN *; INSERT INTO vpnd.deaf VALUES (me);")} $$`,
    three.name,
  );
  const deaf = "SELECT count(DISTINCT node) FROM vpnd.deaf";
  await waitFor(async () => (await second.sql(deaf, three.name)) === "2", 20_000, "both hear nothing");
  await waitFor(
    async () => (await ping(a.host, three.addresses.b, { count: 3, waitSeconds: 1 })).received === 3,
    30_000,
    "pings are answered in time",
  );
}

/** A reader that stands still: what is too old when it goes on is counted, what comes then arrives, and the log has all of it. */
async function asleep({ second, a, c, four }: Scene): Promise<void> {
  const count = 60;
  await waitFor(
    async () => {
      c.program.kill("SIGSTOP");
      // For twelve seconds: after ten a packet is too old.
      await ping(a.host, four.addresses.b, { count, waitSeconds: 1 });
      c.program.kill("SIGCONT");
      await reachable(a.host, four.addresses.b);
      // A session that was cut off in the middle of a question begins anew, and passes over what there was.
      return (await stale(c, four)) > 0;
    },
    90_000,
    "packets are counted as stale",
    () => c.json(["stats", four.name]),
  );
  const logged = `SELECT count(*) >= ${count} FROM vpnd.log WHERE icmp_type = 8 AND source = '${four.addresses.a}'`;
  assert.equal(await second.sql(logged, four.name), "t");
}

labSuite<Scene>(
  "postgres-faults",
  async (lab) => {
    await mountSmallDisk();
    const hosts = [await lab.publicHost("first"), await lab.publicHost("second")] as const;
    const settings = ["shared_buffers=64MB", "max_connections=60"];
    const first = await Database.create(hosts[0], hosts[0].address, settings);
    await first.sql(
      `CREATE ROLE owner LOGIN PASSWORD '${password}'; CREATE ROLE guest LOGIN PASSWORD '${password}'`,
      "postgres",
    );
    const nets = ["one", "two", "three", "four"].map((name, index) => netOf(index + 1, name));
    for (const { name } of nets) await first.sql(`CREATE DATABASE ${name} OWNER owner`, "postgres");
    const second = await first.standby(hosts[1], hosts[1].address);
    const [a, b] = [await vpnd(await lab.publicHost("a")), await lateVpnd(await lab.publicHost("b"))];
    const c = await vpnd(await lab.publicHost("c"));
    const [one, two, three, four] = nets;
    if (one === undefined || two === undefined || three === undefined || four === undefined)
      throw new Error("four networks");
    return { first, second, a, b, c, one, two, three, four };
  },
  (step) => {
    step(
      "of two servers the one that takes writes is used; when it dies, the other one once it does",
      async (scene) => {
        const { first, second, a, b, c, one, two, three, four } = scene;
        for (const net of [one, two, three, four]) {
          await joined(a, scene, net, "owner", net.addresses.a);
          await asOwner(first, net, admit(net));
          await joined(net === four ? c : b, scene, net, "guest", net.addresses.b);
        }
        assert.equal((await peer(a, one, "up")).endpoint, `${first.address}:5432`);
        await reachable(a.host, one.addresses.b);
        await first.crash();
        await because(a, one, "read-only");
        await peer(a, one, "connecting", "read-only");
        await second.promote();
        assert.equal((await peer(a, one, "up")).endpoint, `${second.address}:5432`);
        for (const net of [one, two, three, four])
          await reachable((net === four ? c : b).host, net.addresses.a);
      },
    );

    step(
      "a right to connect, a schema, room on the disk, notifications, a reader: each is missed, named, and done without or waited for",
      async (scene) => {
        await Promise.all([lockedOut(scene), dropped(scene), unheard(scene), asleep(scene)]);
      },
    );

    step(
      "--max-size: the oldest parts go until the rest fits, and later ones are cut smaller",
      async ({ second, a, one }) => {
        const sql = (text: string): Promise<string> => second.sql(text, one.name);
        const node = await sql("SELECT id FROM vpnd.node WHERE name = 'a'");
        const old = (hours: number, megabytes: number): string => {
          const [since, until] = [
            `now() - interval '${hours} hours'`,
            `now() - interval '${hours - 1} hours'`,
          ];
          return `CREATE TABLE vpnd.old_${hours} (LIKE vpnd.packet INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);
          ALTER TABLE vpnd.packet_${node} ATTACH PARTITION vpnd.old_${hours} FOR VALUES FROM (${since}) TO (${until});
          INSERT INTO vpnd.part VALUES ('old_${hours}', ${node}, ${since}, ${until});
          INSERT INTO vpnd.packet_${node} (at, sender, session, seq, sent, kind, payload)
            SELECT ${since}, ${node}, 1, n, now(), 2, decode(repeat('00', 10000), 'hex')
            FROM generate_series(1, ${megabytes * 100}) n;`;
        };
        await asOwner(second, one, `BEGIN; ${old(5, 10)} ${old(3, 10)} COMMIT`);
        await a.ok(["set", one.name, "--max-size", "16MiB"]);
        await sql(`SELECT vpnd.tidy(${node})`);
        assert.equal(
          await sql("SELECT string_agg(name, ' ') FROM vpnd.part WHERE name LIKE 'old%'"),
          "old_3",
        );
        assert.equal(await sql("SELECT period FROM vpnd.network"), "00:10:00");
        await sql(
          `UPDATE vpnd.part SET until = now() - interval '5 minutes' WHERE name = 'old_3'; SELECT vpnd.fit_period(${node})`,
        );
        assert.equal(await sql("SELECT period FROM vpnd.network"), "00:05:00");
        await sql(
          `DROP TABLE vpnd.old_3; DELETE FROM vpnd.part WHERE name = 'old_3'; SELECT vpnd.fit_period(${node})`,
        );
        assert.equal(await sql("SELECT period FROM vpnd.network"), "00:10:00");
      },
    );

    step("--max-size holds however fast the log grows", async ({ second, a, b, one }) => {
      const sizes =
        "SELECT coalesce(sum(pg_total_relation_size(('vpnd.' || name)::regclass)), 0) FROM vpnd.part";
      const kept = async (): Promise<number> => Number(await second.sql(sizes, one.name)) / (1 << 20);
      const { sentSha256, receivedSha256 } = await copyFile(
        a.host,
        b.host,
        one.addresses.b,
        48_000_000,
        120_000,
      );
      assert.equal(receivedSha256, sentSha256);
      // By its time the part that is filled would stay for minutes.
      await waitFor(async () => (await kept()) < 17, 40_000, "the log fits into its bound", kept);
      assert.equal((await ping(a.host, one.addresses.b, { count: 3 })).received, 3);
    });
  },
);
