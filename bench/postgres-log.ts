/**
 * `npm run bench -- postgres-log [--seconds S] [--json]`: traffic both ways over a PostgreSQL for ten minutes (600 s unless told), and then
 * whether everything that left a device is in the log, each packet as often as it left, and nothing else; and what the log needs on the disk.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Capture } from "../test/lab/capture.js";
import { Lab } from "../test/lab/lab.js";
import { captured, logged, type PacketCounts } from "../test/lab/packet-log.js";
import { Database } from "../test/lab/postgres.js";
import { vpnd } from "../test/lab/programs.js";
import { tcp } from "./iperf.js";
import { addresses, joinBoth, role } from "./postgres-pair.js";

/** Bytes of a capture, which is read whole in the end. */
const mostCaptured = 1.2e9;

interface Side {
  address: string;
  packets: number;
  missing: number;
  added: number;
}

/** How many of `some` are not in `others`. */
function without(some: PacketCounts, others: PacketCounts): number {
  let left = 0;
  for (const [key, count] of some) left += Math.max(0, count - (others.get(key) ?? 0));
  return left;
}

const sum = (counts: PacketCounts): number => [...counts.values()].reduce((total, count) => total + count, 0);

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: { type: "string", default: "600" }, json: { type: "boolean", default: false } },
  });
  const seconds = Number(values.seconds);
  const lab = await Lab.create("bench-postgres-log");
  try {
    const server = await lab.publicHost("db");
    const database = await Database.create(server, server.address);
    await database.makeLog(role, role);
    const [a, b] = [await vpnd(await lab.publicHost("a")), await vpnd(await lab.publicHost("b"))];
    await joinBoth([a, b], database);
    await database.sql("TRUNCATE vpnd.packet");
    const captures = [];
    for (const { host } of [a, b]) captures.push(await Capture.start(host, "vpn-default", "out"));
    // Small packets all the while, and TCP one way and then the other.
    const pings = a.host.spawn("ping", "ping", ["-i", "0.01", "-s", "200", addresses[1]]);
    const ends = { a: a.host, b: b.host };
    const most = (mostCaptured * 8) / (seconds / 2);
    const rates = [
      (await tcp(ends, addresses[1], seconds / 2, { most })).bps,
      (await tcp(ends, addresses[1], seconds / 2, { most, reverse: true })).bps,
    ];
    await pings.stop();
    for (const node of [a, b]) await node.ok(["down"]);
    const sides: Side[] = [];
    for (const [index, capture] of captures.entries()) {
      const address = addresses[index] ?? "";
      const [left, kept] = [captured(await capture.packets()), await logged(database, address)];
      const packets = sum(left);
      sides.push({ address, packets, missing: without(left, kept), added: without(kept, left) });
    }
    const twice = Number(
      await database.sql("SELECT count(*) - count(DISTINCT (session, seq)) FROM vpnd.packet"),
    );
    const [stored, carried] = (
      await database.sql(
        `SELECT (SELECT sum(pg_total_relation_size(('vpnd.' || name)::regclass)) FROM vpnd.part) || ' ' ||
                (SELECT sum(total_length) FROM vpnd.packet)`,
      )
    )
      .split(" ")
      .map(Number);
    const storedPerByte = (stored ?? Number.NaN) / (carried ?? Number.NaN);
    const result = { schema: "bench.postgres-log/v1", seconds, rates, sides, twice, storedPerByte };
    process.stdout.write(
      values.json ? `${JSON.stringify(result)}\n` : `${JSON.stringify(result, undefined, 2)}\n`,
    );
    if (twice > 0 || sides.some(({ missing, added }) => missing + added > 0)) {
      throw new Error("the log is not what left the devices");
    }
  } finally {
    await lab.close();
  }
}
