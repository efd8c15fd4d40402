/**
 * `npm run bench -- postgres-notify`: the server's queue of notifications really full (8 GiB in PostgreSQL 15, and so much room on the disk for
 * some minutes), while a network goes through that server: whether it carries on, says why it is slow, and comes back by itself.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { waitFor } from "../test/lab/command.js";
import { Lab } from "../test/lab/lab.js";
import { Database } from "../test/lab/postgres.js";
import { type Daemon, vpnd } from "../test/lab/programs.js";
import { copyFile, ping, reachable } from "../test/lab/traffic.js";
import { addresses, joinBoth, role } from "./postgres-pair.js";

/** Payloads of nearly a page each, so many at a time: a transaction keeps its own in memory until it ends. */
const atOnce = 10_000;
/** More than any queue holds. */
const mostTimes = 200;
const copied = 20_000_000;
/** Of the one who listens and never reads. */
const holder = "notify holder";

async function notes(daemon: Daemon): Promise<string[]> {
  return (await daemon.json<{ notes: string[] }>(["network"])).notes;
}

/** Somebody listens in a transaction that does not end: what was notified since then has to be kept for it. */
async function hold(database: Database): Promise<void> {
  const text = `SET application_name = '${holder}'; LISTEN fill; BEGIN; SELECT pg_sleep(3600)`;
  // Its client may go; the session stays until it is ended.
  database.sql(text).catch(() => undefined);
  const there = `SELECT count(*) FROM pg_stat_activity WHERE application_name = '${holder}' AND query LIKE '%pg_sleep%'`;
  await waitFor(async () => (await database.sql(there)) === "1", 20_000, "somebody listens");
}

/** @returns what the server says in the end */
async function fill(database: Database): Promise<string> {
  for (let times = 0; times < mostTimes; times++) {
    const payloads = `lpad(${times} || '-' || n, 7990, '.')`;
    try {
      await database.sql(
        `SELECT count(pg_notify('fill', ${payloads})) FROM generate_series(1, ${atOnce}) n`,
        "postgres",
      );
    } catch (error) {
      return String(error).split("\n")[0] ?? "";
    }
  }
  throw new Error(`the queue is not full: ${await database.sql("SELECT pg_notification_queue_usage()")}`);
}

async function pings(from: Daemon): Promise<number> {
  const { sent, received, avgSeconds = Number.NaN } = await ping(from.host, addresses[1], { count: 20 });
  assert.equal(received, sent, "pings are lost");
  return avgSeconds * 1000;
}

const say = (what: string): void => void process.stderr.write(`${what}\n`);

const seconds = (since: number): number => Math.round(performance.now() - since) / 1000;

export async function main(): Promise<void> {
  const lab = await Lab.create("bench-postgres-notify");
  try {
    const server = await lab.publicHost("db");
    const database = await Database.create(server, server.address, ["fsync=off"]);
    await database.makeLog(role, role);
    const [a, b] = [await vpnd(await lab.publicHost("a")), await vpnd(await lab.publicHost("b"))];
    await joinBoth([a, b], database);
    const noted = (node: Daemon, what: RegExp, yes: boolean): Promise<unknown> =>
      waitFor(
        async () => (await notes(node)).some((note) => what.test(note)) === yes,
        60_000,
        `${node.host.name} ${yes ? "says" : "says no more"} ${what}`,
        () => notes(node),
      );
    const before = await pings(a);
    say("filling the queue: some minutes");
    await hold(database);
    const filling = performance.now();
    const refusal = await fill(database);
    const filled = seconds(filling);
    say(`full after ${filled} s: ${refusal}`);
    const usage = Number(await database.sql("SELECT pg_notification_queue_usage()"));
    const full = performance.now();
    await reachable(a.host, addresses[1]);
    for (const node of [a, b]) await noted(node, /queue of notifications is full/, true);
    const noticed = seconds(full);
    say(`named after ${noticed} s`);
    const during = await pings(a);
    const copy = await copyFile(a.host, b.host, addresses[1], copied);
    assert.equal(copy.receivedSha256, copy.sentSha256);
    // Who comes now is seen too.
    for (const order of ["down", "up"]) await b.ok([order]);
    await a.peerUp(addresses[1]);
    await reachable(a.host, addresses[1]);
    const twice = await database.sql("SELECT count(*) - count(DISTINCT (session, seq)) FROM vpnd.packet");
    assert.equal(twice, "0");
    say("the one who held it up goes");
    await database.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${holder}'`,
    );
    const freed = performance.now();
    for (const node of [a, b]) {
      await reachable(a.host, addresses[1]);
      await noted(node, /notifications/, false);
    }
    const back = seconds(freed);
    const after = await pings(a);
    const result = { refusal, filled, usage, noticed, back, pingMs: { before, during, after } };
    process.stdout.write(
      `${JSON.stringify({ schema: "bench.postgres-notify/v1", ...result }, undefined, 2)}\n`,
    );
  } finally {
    await lab.close();
  }
}
