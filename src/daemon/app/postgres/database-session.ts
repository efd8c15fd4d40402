/** One attempt to use the database: three connections, a session of this node, and packets both ways until something ends it. */
import { setTimeout as delay } from "node:timers/promises";
import { VpnError } from "../../../common/errors.js";
import type { Fault } from "../../../common/postgres/faults.js";
import { parseLogPolicy } from "../../../common/postgres/log-policy.js";
import type { Endpoint } from "../../core/engine.js";
import { networkChannel, parseWake } from "../../core/postgres/channels.js";
import type { LogRules } from "../../core/postgres/options.js";
import { migrate } from "../../io/postgres/migrate.js";
import { LogReader } from "./log-reader.js";
import { LogTidying } from "./log-tidying.js";
import { LogWriter } from "./log-writer.js";
import { keep, type Opened, openSession, type SessionOptions } from "./open-session.js";
import { otherRow } from "./other-row.js";
import { begin, type Connections, connectAll } from "./session-connections.js";
import { answerMs, faultFrom, inTime, renewed, replaced, SessionFault, silent } from "./session-faults.js";
import { Wakes } from "./wakes.js";

/** How often a node says that it lives and looks who else does. */
const tickMs = 5_000;
/** What is under way when a session ends may take so long. */
const goodbyeMs = 1_000;
/** After so long packets travel in the next part of vpnd.transit: as long as any is looked for. */
const turnMs = 10_000;

export class DatabaseSession {
  readonly writer: LogWriter;
  readonly reader: LogReader;
  readonly endpoint: Endpoint;
  readonly cipher: string | undefined;
  readonly #options: SessionOptions;
  readonly #connections: Connections;
  readonly #me: number;
  /** Number of the network in the database. */
  readonly #network: number;
  /** Number of the session. */
  readonly id: bigint;
  readonly #session: string;
  /** What is kept, as it was when the session was opened. */
  readonly #log: string;
  readonly #over = new AbortController();
  readonly #tidying: LogTidying;
  readonly #ended: Promise<Fault>;
  #end: (error: unknown) => void = () => {};
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  readonly #wakes: Wakes;

  private constructor(options: SessionOptions, connections: Connections, opened: Opened) {
    const { nodes, events } = options;
    this.#options = options;
    this.#connections = connections;
    this.endpoint = connections.endpoint;
    this.cipher = connections.cipher;
    this.#me = opened.node;
    this.#network = opened.network;
    this.#session = opened.session;
    this.id = BigInt(opened.session);
    this.#log = opened.log;
    const place = { me: opened.node, nodes };
    const { keys } = opened;
    this.#wakes = new Wakes(() => {
      for (const cursor of nodes.cursors()) this.reader.read(cursor);
    }, this.#over.signal);
    const connect = { ...options.connect, applicationName: "vpnd tidy" };
    this.#tidying = new LogTidying(connect, opened.node, this.#over.signal);
    this.writer = new LogWriter(connections.write, {
      ...place,
      onLogged: (bytes) => this.#tidying.grew(bytes),
      onNotified: (error) => this.#wakes.notified(error),
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
      this.#live().catch(end);
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

  /** What is not as it should be, for people. */
  get note(): string | undefined {
    return this.#wakes.note;
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
      await listen.script(`NOTIFY ${networkChannel(this.#network)}`);
    };
    await Promise.race([goodbye().catch(() => {}), delay(goodbyeMs, undefined, { ref: false })]);
    for (const one of all) one.destroy(new Error("the network was stopped"));
  }

  /** Signs of life, both ways, until it is over. */
  async #live(): Promise<never> {
    const { listen } = this.#connections;
    listen.onNotification = (channel, payload) => {
      const session = channel === networkChannel(this.#network) ? undefined : parseWake(payload);
      if (session !== undefined) this.#wakes.heard();
      const cursor = session === undefined ? undefined : this.#options.nodes.cursor(session);
      // Of a session that is not known yet, or something about who is there.
      if (cursor === undefined) this.#lookSoon();
      else this.reader.read(cursor);
    };
    const { signal } = this.#over;
    for (let at = 0; ; at += tickMs) {
      await delay(tickMs, undefined, { signal, ref: false });
      const alive = "SELECT vpnd.alive($1::integer, $2::bigint), vpnd.share($1::integer)";
      const [row] = await inTime(listen.run(alive, [String(this.#me), this.#session]));
      const [log, share] = row ?? [];
      if (log == null) throw new SessionFault(replaced);
      if (log !== this.#log) await this.renew();
      // What is found by looking was notified, and not heard.
      if (await this.#look()) this.#wakes.unheard();
      if (this.#wakes.full) await this.#askQueue();
      this.#tidying.tick(share == null ? undefined : Number(share));
      if (at % turnMs === 0) await this.#turn();
      if (this.writer.oldestMs > answerMs) throw new SessionFault(silent);
    }
  }

  /** A queue that is full stays so, whoever has gone, until it is asked about: only then, or when it takes something, PostgreSQL cleans it up. */
  async #askQueue(): Promise<void> {
    const [row] = await inTime(this.#connections.listen.run("SELECT pg_notification_queue_usage() < 0.99"));
    if (row?.[0] === "t") this.#wakes.notified();
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

  /** Who else is there. @returns there was something to read */
  async #look(): Promise<boolean> {
    const rows = await inTime(
      this.#connections.listen.run("SELECT * FROM vpnd.others($1::integer)", [String(this.#me)]),
    );
    const unread = this.#options.events.onOthers(rows.map(otherRow));
    for (const cursor of unread) this.reader.read(cursor);
    return unread.length > 0;
  }
}
