/** One attempt to use the database: three connections, a session of this node, and packets both ways until something ends it. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { VpnError } from "../../../common/errors.js";
import { type ConnectOptions, connectDatabase } from "../../../common/postgres/connect.js";
import { type Fault, faultOf } from "../../../common/postgres/faults.js";
import { formatLogPolicy, parseLogPolicy } from "../../../common/postgres/log-policy.js";
import { type PayloadKeys, payloadKeys, saltBytes } from "../../../common/postgres/seal.js";
import { DatabaseError, type WireConnection } from "../../../common/postgres/wire-connection.js";
import type { Endpoint } from "../../core/engine.js";
import { networkChannel, nodeChannel, parseWake } from "../../core/postgres/channels.js";
import type { Cursor, Nodes, OtherRow } from "../../core/postgres/nodes.js";
import type { LogRules } from "../../core/postgres/options.js";
import { migrate } from "../../io/postgres/migrate.js";
import { LogReader, type LogReaderEvents } from "./log-reader.js";
import { LogWriter, type LogWriterEvents } from "./log-writer.js";

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

/** How often a node says that it lives and looks who else does; and how long an answer may take. */
const tickMs = 5_000;
const answerMs = 10_000;
const tidyMs = 60_000;
/** How often is read when nothing is notified. */
const pollMs = 50;
/** What is under way when a session ends may take so long. */
const goodbyeMs = 1_000;
/** After so long packets travel in the next part of vpnd.transit: as long as any is looked for. */
const turnMs = 10_000;

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
  /** Number of the session. */
  readonly id: bigint;
  readonly #session: string;
  /** What is kept, as it was when the session was opened. */
  readonly #log: string;
  readonly #over = new AbortController();
  readonly #ended: Promise<Fault>;
  #end: (error: unknown) => void = () => {};
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #deaf = false;

  private constructor(options: SessionOptions, connections: Connections, opened: Opened) {
    const { nodes, events } = options;
    this.#options = options;
    this.#connections = connections;
    this.endpoint = connections.endpoint;
    this.cipher = connections.cipher;
    this.#me = opened.node;
    this.#session = opened.session;
    this.id = BigInt(opened.session);
    this.#log = opened.log;
    const place = { me: opened.node, nodes };
    const { keys } = opened;
    this.writer = new LogWriter(connections.write, {
      ...place,
      session: this.id,
      keep: parseLogPolicy(opened.log) ?? 1,
      ...(keys && { key: keys.key }),
      events,
    });
    this.reader = new LogReader(connections.read, { ...place, takes: options.takes, events });
    this.#ended = new Promise((resolve) => {
      const end = (error: unknown): void => resolve(faultFrom(error));
      this.#end = end;
      for (const one of connections.all) one.onEnd = end;
      this.writer.onFail = end;
      this.reader.onFail = end;
      this.#live(opened.network).catch(end);
    });
  }

  /** What the session was opened with holds no more: it ends, and the next one is to be opened at once. */
  async renew(): Promise<void> {
    await Promise.race([this.writer.flush(), delay(goodbyeMs, undefined, { ref: false })]);
    this.#end(new SessionFault(renewed));
  }

  /** Changes what the network's owner wants. @throws VpnError; then it is as it was */
  async keep(rules: LogRules): Promise<void> {
    try {
      await inTime(keep(this.#connections.listen, this.#options.network, rules));
    } catch (error) {
      const { message, hint } = faultFrom(error);
      throw new VpnError("failed", message, hint === undefined ? {} : { hint });
    }
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

  /** Number of this node in the database. */
  get node(): number {
    return this.#me;
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
    await Promise.race([goodbye().catch(() => {}), delay(goodbyeMs, undefined, { ref: false })]);
    for (const one of all) one.destroy(new Error("the network was stopped"));
  }

  /** Signs of life, both ways, until it is over. */
  async #live(network: number): Promise<never> {
    const { listen } = this.#connections;
    this.#connections.network = network;
    listen.onNotification = (channel, payload) => {
      const session = channel === networkChannel(network) ? undefined : parseWake(payload);
      if (session !== undefined) this.#deaf = false;
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
      const log = alive[0]?.[0];
      if (log == null) throw new SessionFault(replaced);
      if (log !== this.#log) await this.renew();
      // What is found by looking was notified, and not heard: the queue of notifications is full, or the like.
      if (await this.#look()) void this.#listenNoMore();
      if (at % tidyMs === 0) void this.#tidy();
      if (at % turnMs === 0) await this.#turn();
      if (this.writer.oldestMs > answerMs) throw new SessionFault(silent);
    }
  }

  /** What has travelled is emptied, so that payloads that are not kept are not there for long. */
  async #turn(): Promise<void> {
    const slot = String(this.writer.turn());
    await inTime(
      this.#connections.listen.run("SELECT vpnd.clear_transit($1::integer, $2::smallint)", [
        String(this.#me),
        slot,
      ]),
    );
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

  /** Reads again and again, until there are notifications again. */
  async #listenNoMore(): Promise<void> {
    if (this.#deaf) return;
    this.#deaf = true;
    const { signal } = this.#over;
    while (this.#deaf && !signal.aborted) {
      for (const cursor of this.#options.nodes.cursors()) this.reader.read(cursor);
      await delay(pollMs, undefined, { ref: false });
    }
  }

  /** Who else is there. @returns there was something to read */
  async #look(): Promise<boolean> {
    const rows = await inTime(
      this.#connections.listen.run("SELECT * FROM vpnd.others($1::integer)", [String(this.#me)]),
    );
    const unread = this.#options.events.onOthers(rows.map(otherRow));
    for (const cursor of unread) this.reader.read(cursor);
    return unread.length > 0;
  }

  /** On a connection of its own, because it may take long; what fails is for the next time. */
  async #tidy(): Promise<void> {
    const { signal } = this.#over;
    const options = { ...this.#options.connect, applicationName: "vpnd tidy" };
    try {
      const { connection } = await connectDatabase(options, signal);
      await connection.run("SELECT vpnd.tidy($1::integer)", [String(this.#me)]);
      await connection.run("SELECT vpnd.tidy_transit($1::integer), vpnd.fit_period($1::integer)", [
        String(this.#me),
      ]);
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
  /** What is kept. */
  log: string;
  keys: PayloadKeys | undefined;
}

/** No fault: the next session is to be opened at once. */
export const renewed: Fault = { code: "renewed", message: "what is kept of packets changes", lasting: false };
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

async function keep(
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

function otherRow(values: (string | null)[]): OtherRow {
  const [node, address, name, session, age, over, durable, head, salt, check] = values;
  return {
    node: Number(node),
    address: address ?? "",
    name: name ?? "",
    ...(session != null && { session: BigInt(session) }),
    age: Number(age ?? 0),
    over: over === "t",
    durable: durable !== "f",
    head: BigInt(head ?? 0),
    salt: bytesOf(salt),
    check: bytesOf(check),
  };
}

/** Of a bytea in text form. */
const bytesOf = (text: string | null | undefined): Uint8Array | null =>
  text == null ? null : Buffer.from(text.slice(2), "hex");

function faultFrom(error: unknown): Fault {
  if (error instanceof SessionFault) return error.fault;
  if (error instanceof DatabaseError) return faultOf(error.refusal);
  const { message, hint } = VpnError.from(error);
  return { code: "unreachable", message, lasting: false, ...(hint !== undefined && { hint }) };
}
