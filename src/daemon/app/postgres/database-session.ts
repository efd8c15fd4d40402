/** One attempt to use the database: three connections, a session of this node, and packets both ways until something ends it. */
import { setTimeout as delay } from "node:timers/promises";
import { VpnError } from "../../../common/errors.js";
import { type ConnectOptions, connectDatabase } from "../../../common/postgres/connect.js";
import { type Fault, faultOf } from "../../../common/postgres/faults.js";
import { DatabaseError, type WireConnection } from "../../../common/postgres/wire-connection.js";
import type { Endpoint } from "../../core/engine.js";
import { networkChannel, nodeChannel, parseWake } from "../../core/postgres/channels.js";
import type { Cursor, Nodes, OtherRow } from "../../core/postgres/nodes.js";
import { migrate } from "../../io/postgres/migrate.js";
import { LogReader, type LogReaderEvents } from "./log-reader.js";
import { LogWriter, type LogWriterEvents } from "./log-writer.js";

export interface SessionOptions {
  connect: Omit<ConnectOptions, "applicationName">;
  /** Name in the database. */
  network: string;
  /** Own address, without prefix length, and its bytes. */
  address: string;
  addressBytes: Uint8Array;
  nodeName: string;
  /** Who this vpnd is, whatever its name. */
  nodeKey: Uint8Array;
  fast: boolean;
  retentionSeconds?: number;
  maxBytes?: number;
  nodes: Nodes;
  events: LogReaderEvents & LogWriterEvents & { onOthers(rows: readonly OtherRow[]): readonly Cursor[] };
}

/** How often a node says that it lives and looks who else does; and how long an answer may take. */
const tickMs = 5_000;
const answerMs = 10_000;
const tidyMs = 60_000;

/** It cannot go on, or not begin. */
export class SessionFault extends Error {
  override readonly name = "SessionFault";

  constructor(readonly fault: Fault) {
    super(fault.message);
  }
}

export class DatabaseSession {
  readonly writer: LogWriter;
  readonly reader: LogReader;
  readonly endpoint: Endpoint;
  readonly cipher: string | undefined;
  readonly #options: SessionOptions;
  readonly #connections: Connections;
  readonly #me: number;
  readonly #session: string;
  readonly #over = new AbortController();
  readonly #ended: Promise<Fault>;
  #looking: Promise<void> | undefined;
  #lookAgain = false;

  private constructor(options: SessionOptions, connections: Connections, opened: Opened) {
    const { nodes, events } = options;
    this.#options = options;
    this.#connections = connections;
    this.endpoint = connections.endpoint;
    this.cipher = connections.cipher;
    this.#me = opened.node;
    this.#session = opened.session;
    const place = { me: opened.node, nodes };
    this.writer = new LogWriter(connections.write, { ...place, session: BigInt(opened.session), events });
    this.reader = new LogReader(connections.read, { ...place, own: options.addressBytes, events });
    this.#ended = new Promise((resolve) => {
      const end = (error: unknown): void => resolve(faultFrom(error));
      for (const one of connections.all) one.onEnd = end;
      this.writer.onFail = end;
      this.reader.onFail = end;
      this.#live(opened.network).catch(end);
    });
  }

  /** @throws SessionFault; nothing is open then */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<DatabaseSession> {
    let connections: Connections | undefined;
    try {
      connections = await connectAll(options, signal);
      await migrate(connections.listen);
      const opened = await openSession(connections.write, options);
      await begin(connections, opened, options);
      const session = new DatabaseSession(options, connections, opened);
      await session.#look();
      return session;
    } catch (error) {
      for (const one of connections?.all ?? []) one.destroy(new Error("given up"));
      signal.throwIfAborted();
      throw error instanceof SessionFault ? error : new SessionFault(faultFrom(error));
    }
  }

  /** Resolves when it is over, with the reason; everything is closed then. */
  async ended(): Promise<Fault> {
    const fault = await this.#ended;
    this.#over.abort();
    for (const one of this.#connections.all) one.destroy(new Error(fault.message));
    return fault;
  }

  /** Says goodbye, in a second at most. What is under way is done. */
  async close(): Promise<void> {
    const { write, listen, all } = this.#connections;
    this.#over.abort();
    const goodbye = async (): Promise<void> => {
      await this.writer.flush();
      await write.run("SELECT vpnd.close_session($1::integer, $2::bigint)", [
        String(this.#me),
        this.#session,
      ]);
      await listen.script(`NOTIFY ${networkChannel(this.#connections.network)}`);
    };
    await Promise.race([goodbye().catch(() => {}), delay(1_000, undefined, { ref: false })]);
    for (const one of all) one.destroy(new Error("the network was stopped"));
  }

  /** Signs of life, both ways, until it is over. */
  async #live(network: number): Promise<never> {
    const { listen } = this.#connections;
    this.#connections.network = network;
    listen.onNotification = (channel, payload) => {
      const session = channel === networkChannel(network) ? undefined : parseWake(payload);
      const cursor = session === undefined ? undefined : this.#options.nodes.cursor(session);
      // Of a session that is not known yet, or something about who is there.
      if (cursor === undefined) this.#lookSoon();
      else this.reader.read(cursor);
    };
    const { signal } = this.#over;
    for (let at = 0; ; at += tickMs) {
      await delay(tickMs, undefined, { signal, ref: false });
      const alive = await inTime(
        listen.run("SELECT vpnd.alive($1::integer, $2::bigint)", [String(this.#me), this.#session]),
      );
      if (alive[0]?.[0] !== "t") throw new SessionFault(replaced);
      await this.#look();
      if (at % tidyMs === 0) void this.#tidy();
      if (this.writer.oldestMs > answerMs) throw new SessionFault(silent);
    }
  }

  /** At once, but never twice at a time, whoever asks for it how often. */
  #lookSoon(): void {
    if (this.#looking !== undefined) {
      this.#lookAgain = true;
      return;
    }
    this.#looking = this.#look()
      .catch(() => {})
      .then(() => {
        this.#looking = undefined;
        if (this.#lookAgain) this.#lookSoon();
        this.#lookAgain = false;
      });
  }

  /** Who else is there. */
  async #look(): Promise<void> {
    const rows = await inTime(
      this.#connections.listen.run("SELECT * FROM vpnd.others($1::integer)", [String(this.#me)]),
    );
    for (const cursor of this.#options.events.onOthers(rows.map(otherRow))) this.reader.read(cursor);
  }

  /** On a connection of its own, because it may take long; what fails is for the next time. */
  async #tidy(): Promise<void> {
    const { signal } = this.#over;
    const options = { ...this.#options.connect, applicationName: "vpnd tidy" };
    try {
      const { connection } = await connectDatabase(options, signal);
      await connection.run("SELECT vpnd.tidy($1::integer)", [String(this.#me)]);
      connection.end();
    } catch {
      // Most likely what the other connections will say too.
    }
  }
}

interface Connections {
  write: WireConnection;
  read: WireConnection;
  listen: WireConnection;
  all: readonly WireConnection[];
  endpoint: Endpoint;
  cipher: string | undefined;
  network: number;
}

interface Opened {
  network: number;
  node: number;
  session: string;
}

const replaced: Fault = { code: "replaced", message: "another vpnd is this node now", lasting: false };
const silent: Fault = { code: "silent", message: "the database does not answer any more", lasting: false };

async function connectAll(options: SessionOptions, signal: AbortSignal): Promise<Connections> {
  const { connect, network } = options;
  const name = (what: string): ConnectOptions => ({ ...connect, applicationName: `vpnd ${network} ${what}` });
  const first = await connectDatabase(name("write"), signal);
  // The others go to the same server, whichever it was.
  const made = [first.connection];
  try {
    for (const what of ["read", "listen"]) {
      const same = { ...name(what), resolve: async () => [first.endpoint] };
      made.push((await connectDatabase(same, signal)).connection);
    }
  } catch (error) {
    for (const one of made) one.destroy(new Error("given up"));
    throw error;
  }
  const [write = first.connection, read = first.connection, listen = first.connection] = made;
  const { endpoint, cipher } = first;
  return { write, read, listen, all: made, endpoint, cipher, network: 0 };
}

async function openSession(connection: WireConnection, options: SessionOptions): Promise<Opened> {
  const { network, address, nodeName, nodeKey, fast, retentionSeconds, maxBytes } = options;
  const [row] = await connection.run(
    "SELECT * FROM vpnd.open_session($1::text, $2::inet, $3::text, $4::bytea, $5::boolean)",
    [network, address, nodeName, `\\x${Buffer.from(nodeKey).toString("hex")}`, String(!fast)],
  );
  const [networkId, node, session, holder] = row ?? [];
  if (holder != null) {
    const hint = "choose another --vip, or wait until that node has been silent for 20 s";
    const message = `virtual IP ${address} is held by ${holder}`;
    throw new SessionFault({ code: "conflict", message, hint, lasting: true });
  }
  if (networkId == null || node == null || session == null) throw new Error("the database opened no session");
  if (retentionSeconds !== undefined || maxBytes !== undefined) {
    await connection.run(
      "SELECT vpnd.keep($1::text, make_interval(secs => $2::double precision), $3::bigint)",
      [
        network,
        retentionSeconds === undefined ? null : String(retentionSeconds),
        maxBytes === undefined ? null : String(maxBytes),
      ],
    );
  }
  return { network: Number(networkId), node: Number(node), session };
}

async function begin(
  { write, read, listen }: Connections,
  opened: Opened,
  { fast }: SessionOptions,
): Promise<void> {
  // Whatever the server does by default, packets are on its disk before anybody sees them.
  const [now] = await write.run("SHOW synchronous_commit");
  if (fast) await write.script("SET synchronous_commit = off");
  else if (now?.[0] === "off") await write.script("SET synchronous_commit = on");
  await LogReader.prepare(read);
  await listen.script(`LISTEN ${nodeChannel(opened.node)}`);
  await listen.script(`LISTEN ${networkChannel(opened.network)}`);
  await listen.script(`NOTIFY ${networkChannel(opened.network)}`);
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = delay(answerMs, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new SessionFault(silent);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    work.catch(() => {});
  }
}

function otherRow([node, address, name, session, age, over, durable, head]: (string | null)[]): OtherRow {
  return {
    node: Number(node),
    address: address ?? "",
    name: name ?? "",
    ...(session != null && { session: BigInt(session) }),
    age: Number(age ?? 0),
    over: over === "t",
    durable: durable !== "f",
    head: BigInt(head ?? 0),
  };
}

function faultFrom(error: unknown): Fault {
  if (error instanceof SessionFault) return error.fault;
  if (error instanceof DatabaseError) return faultOf(error.refusal);
  const { message, hint } = VpnError.from(error);
  return { code: "unreachable", message, lasting: false, ...(hint !== undefined && { hint }) };
}
