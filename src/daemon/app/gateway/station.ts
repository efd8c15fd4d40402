/** The part of a gateway that has a port, the connections that came in there, and the packets of their clients. */
import type { WebSocket } from "ws";
import type { Reason } from "../../core/carrier.js";
import type { ClientBatch, HubDestinations, PortHub } from "../../core/gateway/hub.js";
import { Channel, closeCodes } from "../../io/gateway/channel.js";
import { type Admission, GatewayServer, type Knock } from "../../io/gateway/server.js";
import type { TlsPair } from "../../io/gateway/tls-files.js";
import { type Dialect, dialectOf } from "./dialect.js";
import { deadMs, keepAliveMs } from "./pace.js";
import { Session } from "./session.js";
import type {
  ControlCalls,
  Farewell,
  Grant,
  Limit,
  Measured,
  Released,
  StationHandle,
  StationSetup,
} from "./station-calls.js";

/** What a station needs of the native addon. */
export interface StationPlatform {
  createPortHub(destinations: HubDestinations): PortHub;
  closeFd(fd: number): void;
}

export class Station implements StationHandle {
  readonly #setup: StationSetup;
  readonly #control: ControlCalls;
  readonly #platform: StationPlatform;
  readonly #hub: PortHub;
  readonly #sessions = new Map<number, Session>();
  /** Also of those that are away. */
  readonly #devices = new Set<number>();
  #server: GatewayServer | undefined;

  /** @throws Error when descriptors are short */
  constructor(setup: StationSetup, platform: StationPlatform, control: ControlCalls) {
    this.#setup = setup;
    this.#control = control;
    this.#platform = platform;
    this.#hub = platform.createPortHub(setup.destinations);
    this.#hub.onBatch = (client, batch) => this.#send(client, batch);
  }

  async prepare(): Promise<void> {
    const { sharedDevice } = this.#setup;
    if (sharedDevice !== undefined) this.#hub.share(sharedDevice);
    this.#hub.start();
  }

  async open(listenFd: number, tls: TlsPair | undefined): Promise<void> {
    this.#server = await GatewayServer.open({
      ...(tls !== undefined && { tls }),
      fd: listenFd,
      admit: (knock) => this.#admit(knock),
      onRefused: (why) => this.#control.refused(why),
    });
  }

  async release(id: number, { code, text }: Farewell): Promise<Released> {
    this.#sessions.get(id)?.close(code, text);
    this.#sessions.delete(id);
    this.#devices.delete(id);
    const counters = this.#hub.counters(id);
    const fd = this.#hub.release(id);
    return { ...(fd !== undefined && { fd }), ...(counters !== undefined && { counters }) };
  }

  async limit(limits: readonly Limit[]): Promise<void> {
    for (const { id, bytes } of limits) this.#hub.setLimit(id, bytes);
  }

  async measure(): Promise<Measured[]> {
    return [...this.#devices].flatMap((id) => {
      const counters = this.#hub.counters(id);
      const rttSeconds = this.#sessions.get(id)?.channel.rttSeconds;
      return counters === undefined ? [] : { id, counters, ...(rttSeconds !== undefined && { rttSeconds }) };
    });
  }

  async strays(): Promise<Readonly<Record<string, number>>> {
    return this.#hub.strays();
  }

  async renew(tls: TlsPair): Promise<void> {
    this.#server?.renew(tls);
  }

  async close({ code, text }: Farewell): Promise<void> {
    for (const session of this.#sessions.values()) session.close(code, text);
    this.#sessions.clear();
    await this.#server?.close();
  }

  async end(): Promise<void> {
    this.#hub.stop();
  }

  responds(): boolean {
    return this.#hub.responds();
  }

  async #admit(knock: Knock): Promise<Admission> {
    const verdict = await this.#control.admit(knock);
    if ("refuse" in verdict) return verdict;
    if ("close" in verdict) return { dismiss: verdict.close };
    return { accept: (socket) => this.#serve(socket, verdict.grant) };
  }

  #serve(socket: WebSocket | undefined, grant: Grant): void {
    const { id, fd, sources, foreign, limit } = grant;
    const { mtu, padding, anySource } = this.#setup;
    const dialect = dialectOf(foreign, padding);
    try {
      this.#hub.add(id, {
        ...(fd !== undefined && { tunFd: fd }),
        mtu,
        items: dialect.items,
        sources,
        anySource,
        ...(limit !== undefined && { limit }),
      });
      this.#devices.add(id);
    } catch (error) {
      if (fd !== undefined) this.#platform.closeFd(fd);
      dismiss(socket, { code: closeCodes.tryLater, text: "no device for another client" });
      this.#control.ended(id, { code: "no-device", message: String(error) }, false);
      return;
    }
    if (socket === undefined) {
      this.#control.ended(id, { code: "disconnected", message: "gone before it was served" }, false);
      return;
    }
    socket.on("error", () => {});
    const session = this.#session(socket, grant, dialect);
    this.#sessions.set(id, session);
    session.start(dialect.hello(grant.hello), dialect.helloAfterMs);
  }

  #session(socket: WebSocket, { id, rate }: Grant, { codec }: Dialect): Session {
    return new Session({
      id,
      ...(rate !== undefined && { rate }),
      hub: this.#hub,
      channel: (events) => new Channel(socket, { codec, events, pingMs: keepAliveMs, deadMs }),
      onEnd: (reason) => this.#ended(id, reason),
    });
  }

  #send(client: number, batch: ClientBatch): void {
    const session = this.#sessions.get(client);
    if (session === undefined) batch.release();
    else session.send(batch);
  }

  /** The client went, or was lost; its device waits for it. */
  #ended(id: number, reason: Reason): void {
    if (!this.#sessions.delete(id)) return;
    this.#hub.setMode(id, "discard");
    this.#control.ended(id, reason, true);
  }
}

function dismiss(socket: WebSocket | undefined, { code, text }: Farewell): void {
  socket?.on("error", () => {});
  socket?.close(code, text);
}
