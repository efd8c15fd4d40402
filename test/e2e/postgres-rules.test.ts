/** What a network over PostgreSQL keeps of packets: headers, samples, encrypted payloads. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Capture } from "../lab/capture.js";
import { keyFile } from "../lab/carriers.js";
import { waitFor } from "../lab/command.js";
import { Database } from "../lab/postgres.js";
import { type Daemon, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping, reachable } from "../lab/traffic.js";

interface Scene {
  database: Database;
  a: Daemon;
  b: Daemon;
  c: Daemon;
}

interface NetworkDocument {
  postgres: { encrypted: boolean; log?: string };
}

const [password, owner] = ["of the log", "owner"];
const addresses = { a: "10.9.0.1", b: "10.9.0.2", c: "10.9.0.3" } as const;
/** In the payload of a ping. */
const marker = "5eedc0de5eedc0de";

async function joined(daemon: Daemon, { database }: Scene, address: string, more: readonly string[]) {
  const file = keyFile(daemon.host, "password", password);
  const where = ["join", "--postgres", database.url(owner), "--postgres-password-file", file];
  await daemon.ok([...where, "--vip", `${address}/24`, "--name", daemon.host.name, ...more]);
}

async function markedPing(from: Daemon, to: string): Promise<void> {
  const result = await from.host.exec("ping", ["-c", "2", "-i", "0.2", "-W", "5", "-p", marker, to]);
  assert.equal(result.code, 0, result.stdout);
}

const marked = (table: string): string =>
  `SELECT count(*) FROM vpnd.${table} WHERE position('\\x${marker}'::bytea in payload) > 0`;

labSuite<Scene>(
  "postgres-rules",
  async (lab) => {
    const host = await lab.publicHost("db");
    const settings = ["shared_buffers=64MB", "max_connections=40"];
    const database = await Database.create(host, host.address, settings);
    await database.makeLog(owner, password);
    const [a, b] = [await vpnd(await lab.publicHost("a")), await vpnd(await lab.publicHost("b"))];
    return { database, a, b, c: await vpnd(await lab.publicHost("c")) };
  },
  (step) => {
    step(
      "headers alone: all of them are in the log, payloads go no further than to their receiver",
      async (scene) => {
        const { database, a, b } = scene;
        await joined(a, scene, addresses.a, ["--log", "headers"]);
        await joined(b, scene, addresses.b, []);
        await a.peerUp(addresses.b);
        await reachable(a.host, addresses.b);
        assert.equal((await a.json<NetworkDocument>(["network"])).postgres.log, "headers");
        await database.sql("TRUNCATE vpnd.packet");
        const capture = await Capture.start(a.host, "vpn-default", "out");
        await markedPing(a, addresses.b);
        const copied = await copyFile(a.host, b.host, addresses.b, 4_000_000);
        assert.equal(copied.receivedSha256, copied.sentSha256);
        const bytes = (await capture.packets()).map(({ length }) => length);
        const kept = await database.sql(
          `SELECT count(*) || ' ' || sum(total_length) || ' ' || count(payload) FROM vpnd.log WHERE source = '${addresses.a}'`,
        );
        assert.equal(kept, `${bytes.length} ${bytes.reduce((sum, one) => sum + one, 0)} 0`);
        assert.notEqual(await database.sql(marked("transit")), "0", "a marked packet has not travelled");
      },
    );

    step(
      "samples: of every Nth packet the payload is kept, set while it runs, for nodes that did not ask for it too",
      async (scene) => {
        const { database, a, b } = scene;
        assert.match(await a.ok(["set", "--log", "sample=5"]), /--log is now sample=5, was headers/);
        assert.match((await a.ctl(["set", "--retention", "5s"])).stderr, /a minute at least/);
        await a.ok(["set", "--max-size", "64MiB", "--retention", "2h"]);
        assert.equal(
          await database.sql("SELECT log, retention, max_bytes, period FROM vpnd.network"),
          "sample=5|02:00:00|67108864|00:10:00",
        );
        const newest =
          "SELECT n.name FROM vpnd.session s JOIN vpnd.node n ON n.id = s.node ORDER BY s.id DESC LIMIT 1";
        await waitFor(
          async () => (await database.sql(newest)) === "b",
          20_000,
          "b begins a session of its own accord",
        );
        await a.peerUp(addresses.b);
        await b.peerUp(addresses.a);
        await database.sql("TRUNCATE vpnd.packet");
        await ping(b.host, addresses.a, { count: 20 });
        const parts = await database.sql(
          "SELECT string_agg(part, ' ') FROM (SELECT count(*) || '/' || count(payload) AS part FROM vpnd.packet GROUP BY sender) p",
        );
        for (const part of parts.split(" ")) {
          const [all = 0, kept = 0] = part.split("/").map(Number);
          assert.ok(all >= 20 && kept >= Math.floor(all / 5) && kept <= Math.ceil(all / 5), parts);
        }
      },
    );

    step("encrypted: the database has headers in clear and payloads that say nothing", async (scene) => {
      const { database, a, b } = scene;
      const psk = await pskGenerate();
      for (const daemon of [a, b]) await daemon.ok(["leave"]);
      await joined(a, scene, addresses.a, ["--log", "full", "--psk-file", keyFile(a.host, "psk", psk)]);
      await joined(b, scene, addresses.b, ["--psk-file", keyFile(b.host, "psk", psk)]);
      await a.peerUp(addresses.b);
      await database.sql("TRUNCATE vpnd.packet");
      await markedPing(a, addresses.b);
      const copied = await copyFile(b.host, a.host, addresses.a, 4_000_000);
      assert.equal(copied.receivedSha256, copied.sentSha256);
      assert.match(await a.ok(["ping", "b", "-c", "1"]), /postgres/);
      assert.equal((await a.json<NetworkDocument>(["network"])).postgres.encrypted, true);
      assert.equal(await database.sql("SELECT count(*) >= 2 FROM vpnd.log WHERE icmp_type = 8"), "t");
      assert.equal(await database.sql("SELECT count(*) FROM vpnd.packet WHERE payload IS NULL"), "0");
      assert.equal(await database.sql(marked("packet")), "0");
    });

    step("another key, or none, is refused and counted, and peers say why", async (scene) => {
      const { database, a, c } = scene;
      await joined(c, scene, addresses.c, ["--psk-file", keyFile(c.host, "psk", await pskGenerate())]);
      const why = (daemon: Daemon, of: string, code: string) =>
        daemon.peer(
          of,
          (one) => one.state === "refused" && one.reason?.code === code,
          20_000,
          `refused: ${code}`,
        );
      await why(a, addresses.c, "wrong-psk");
      await why(c, addresses.a, "wrong-psk");
      assert.equal((await ping(c.host, addresses.a, { count: 2, waitSeconds: 1 })).received, 0);
      assert.ok(((await a.stats()).drops["wrong-psk"] ?? 0) >= 2, JSON.stringify(await a.stats()));
      // Declared in a file this time.
      await c.ok(["leave"]);
      await c.stop();
      const config = join(c.host.folder, "vpnd.toml");
      const section = `[network.default]
postgres = "${database.url(owner)}"
postgres_password_file = "${join(c.host.folder, "password")}"
vip = "${addresses.c}/24"
name = "c"
`;
      writeFileSync(config, section, { mode: 0o600 });
      await c.start(["--config", config]);
      await why(a, addresses.c, "not-encrypted");
      await why(c, addresses.a, "encrypted");
    });

    step("a new key is taken over without a new join", async ({ a, b }) => {
      const psk = await pskGenerate();
      for (const daemon of [a, b])
        await daemon.ok(["psk", "set", "--psk-file", keyFile(daemon.host, "psk", psk)]);
      await a.peerUp(addresses.b);
      await reachable(a.host, addresses.b);
    });

    step("payloads that are not kept are gone soon", async ({ database }) => {
      await waitFor(
        async () => (await database.sql(marked("transit"))) === "0",
        60_000,
        "the payloads are gone",
        () => database.sql("SELECT slot, count(*), min(at) FROM vpnd.transit GROUP BY slot"),
      );
      assert.equal(await database.sql(marked("packet")), "0");
    });
  },
);
