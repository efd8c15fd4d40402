/** A node says to the database that it is there, and how, and learns its numbers. */
import { randomBytes } from "node:crypto";
import type { ConnectOptions } from "../../../common/postgres/connect.js";
import { formatLogPolicy } from "../../../common/postgres/log-policy.js";
import { type PayloadKeys, payloadKeys, saltBytes } from "../../../common/postgres/seal.js";
import type { WireConnection } from "../../../common/postgres/wire-connection.js";
import type { Cursor, Nodes, OtherRow } from "../../core/postgres/nodes.js";
import type { LogRules } from "../../core/postgres/options.js";
import type { LogReaderEvents } from "./log-reader.js";
import type { LogWriterEvents } from "./log-writer.js";
import { SessionFault } from "./session-faults.js";

export interface SessionOptions {
  connect: Omit<ConnectOptions, "applicationName">;
  /** Name in the database. */
  network: string;
  /** Own address, without prefix length. */
  address: string;
  /** Whether packets to an address may come here. */
  takes: (destination: Uint8Array) => boolean;
  nodeName: string;
  /** Who this vpnd is, whatever its name. */
  nodeKey: Uint8Array;
  fast: boolean;
  /** What the network's owner wants. */
  rules: LogRules;
  /** Payloads are encrypted with it; undefined: they are not. */
  psk: Uint8Array | undefined;
  nodes: Nodes;
  events: LogReaderEvents & LogWriterEvents & { onOthers(rows: readonly OtherRow[]): readonly Cursor[] };
}

export interface Opened {
  network: number;
  node: number;
  session: string;
  /** What is kept. */
  log: string;
  keys: PayloadKeys | undefined;
}

/** @throws SessionFault `conflict` when another node has the address @throws DatabaseError */
export async function openSession(connection: WireConnection, options: SessionOptions): Promise<Opened> {
  const { network, address, nodeName, nodeKey, fast, rules, psk } = options;
  // Of this session alone, so that no key is ever used twice.
  const salt = psk === undefined ? undefined : randomBytes(saltBytes);
  const keys = psk === undefined || salt === undefined ? undefined : payloadKeys(psk, network, salt);
  const call =
    "vpnd.open_session($1::text, $2::inet, $3::text, $4::bytea, $5::boolean, $6::bytea, $7::bytea)";
  const open = async (): Promise<(string | null)[]> => {
    const mark = [salt ?? null, keys?.check ?? null].map((bytes) => bytes && hexOf(bytes));
    const who = [network, address, nodeName, hexOf(nodeKey), String(!fast)];
    const [row] = await connection.run(`SELECT * FROM ${call}`, [...who, ...mark]);
    return row ?? [];
  };
  await keep(connection, network, rules);
  const [networkId, node, session, holder, log] = await open();
  if (holder != null) {
    const hint = "choose another --vip, or wait until that node has been silent for 20 s";
    const message = `virtual IP ${address} is held by ${holder}`;
    throw new SessionFault({ code: "conflict", message, hint, lasting: true });
  }
  if (networkId == null || node == null || session == null || log == null) {
    throw new Error("the database opened no session");
  }
  return { network: Number(networkId), node: Number(node), session, log, keys };
}

const hexOf = (bytes: Uint8Array): string => `\\x${Buffer.from(bytes).toString("hex")}`;

/** Says what the network's owner wants of the log; nothing changes nothing. @throws DatabaseError */
export async function keep(
  connection: WireConnection,
  network: string,
  { retentionSeconds, maxBytes, log }: LogRules,
): Promise<void> {
  if (retentionSeconds === undefined && maxBytes === undefined && log === undefined) return;
  await connection.run(
    "SELECT vpnd.keep($1::text, make_interval(secs => $2::double precision), $3::bigint, $4::text)",
    [
      network,
      retentionSeconds === undefined ? null : String(retentionSeconds),
      maxBytes === undefined ? null : String(maxBytes),
      log === undefined ? null : formatLogPolicy(log),
    ],
  );
}
