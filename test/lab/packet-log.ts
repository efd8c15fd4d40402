/** Whether the log of a database holds what left a device: the same packets, each as often. */
import { createHash } from "node:crypto";
import { takeApart } from "../../src/common/postgres/packet.js";
import type { Database } from "./postgres.js";

/** How often each packet is there, by what it is known by. */
export type PacketCounts = ReadonlyMap<string, number>;

/** Of a capture. */
export function captured(packets: readonly Buffer[]): PacketCounts {
  return counted(packets.map(keyOf));
}

/** Of what a node sent, as the log has it. @param address its virtual IP */
export async function logged(database: Database, address: string): Promise<PacketCounts> {
  return counted((await database.sql(logKeys(address))).split("\n"));
}

/** What a packet is known by, whatever the device has to fill in later. */
function keyOf(packet: Buffer): string {
  const fields = takeApart(packet);
  if (fields === undefined) return `raw ${packet.toString("hex")}`;
  const { tcpSequence, tcpFlags, icmpType } = fields.transport;
  const digest = createHash("md5").update(fields.payload).digest("hex");
  return [fields.identification, fields.protocol, tcpSequence, tcpFlags, icmpType, digest]
    .map((value) => value ?? "")
    .join("/");
}

const logKeys = (sender: string): string =>
  `SELECT concat_ws('/', coalesce(identification::text, ''), protocol, coalesce(tcp_sequence::text, ''),
     coalesce(tcp_flags::text, ''), coalesce(icmp_type::text, ''), md5(payload))
   FROM vpnd.log JOIN vpnd.node ON node.id = sender WHERE address = '${sender}'`;

function counted(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of [...keys].sort()) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
