/** The running server: sockets, clock and metrics around the core. */
import type { Logger } from "pino";
import { formatEndpoint, type HostPort } from "../../common/endpoint.js";
import { type AddressFilter, addressFilter, type Prefix } from "../core/address-filter.js";
import { badgerCodec } from "../core/codec.js";
import type { Settings } from "../core/config.js";
import { LogBudget } from "../core/log-budget.js";
import { type Effect, type MapEffect, paperTiming, Rendezvous } from "../core/rendezvous.js";
import { Metrics } from "../io/metrics.js";
import { MetricsServer } from "../io/metrics-server.js";
import { type Sender, UdpPort } from "../io/udp-port.js";
import { defaultPort } from "./arguments.js";
import { version } from "./version.js";

/** Milliseconds of a clock that never goes back. */
const clock = (): number => performance.now();

export class Iexd {
  readonly #args: Settings;
  #allowed: AddressFilter;
  readonly #log: Logger;
  readonly #rendezvous: Rendezvous;
  readonly #metrics: Metrics;
  readonly #socketLog = new LogBudget<"receive" | "send">(1, 10_000);
  readonly #ports: UdpPort[] = [];
  #metricsServer: MetricsServer | undefined;
  #timer: { at: number; handle: NodeJS.Timeout } | undefined;
  #stopped = false;

  constructor(args: Settings, log: Logger) {
    this.#args = args;
    this.#allowed = addressFilter(args.allowed);
    this.#log = log;
    this.#rendezvous = new Rendezvous(badgerCodec, {
      ...paperTiming,
      maxNodes: args.maxNodes,
      allowed: (address) => this.#allowed(address),
    });
    this.#metrics = new Metrics(version(), () => this.#rendezvous.size, args.maxNodes);
  }

  /** Binds everything, or throws a VpnError and leaves nothing bound. */
  async start(): Promise<void> {
    try {
      await this.#bind();
      if (this.#args.metrics !== undefined) {
        this.#metricsServer = await MetricsServer.start(this.#args.metrics, this.#metrics);
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
    for (const [via, port] of this.#ports.entries()) {
      port.receive(
        (from, data) => this.#receive(via, from, data),
        (error) => this.#socketFailed("receive", { err: error }),
      );
    }
    const metrics = this.#metricsServer?.endpoint;
    this.#log.info(
      {
        listen: this.#ports.map((port) => port.endpoint),
        protocols: [badgerCodec.name],
        ...(metrics === undefined ? {} : { metrics }),
      },
      "ready",
    );
  }

  /** From now on only these are heard; empty: everybody. Nodes that may not be heard any more are purged in time. */
  allow(prefixes: readonly Prefix[]): void {
    this.#allowed = addressFilter(prefixes);
  }

  /** Idempotent. Nodes keep their tunnels and try to reach the server again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer?.handle);
    await Promise.all([...this.#ports.splice(0).map((port) => port.close()), this.#metricsServer?.close()]);
    this.#metricsServer = undefined;
  }

  async #bind(): Promise<void> {
    for (const at of this.#args.listen ?? []) this.#ports.push(await UdpPort.bind(at));
    if (this.#args.listen !== undefined) return;
    this.#ports.push(await UdpPort.bind({ address: "0.0.0.0", port: defaultPort, family: 4 }));
    const v6: HostPort = { address: "::", port: defaultPort, family: 6 };
    try {
      this.#ports.push(await UdpPort.bind(v6));
    } catch (error) {
      if (!machineWithoutIpv6(error)) throw error;
      this.#log.warn("this machine has no IPv6: listening on IPv4 only");
    }
  }

  #receive(via: number, from: Sender, data: Uint8Array): void {
    if (this.#stopped) return;
    const source = { ...from, endpoint: formatEndpoint(from.address, from.port), via };
    this.#apply(this.#rendezvous.datagram(source, data, clock()));
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === "map") this.#sendMap(effect);
      else if (effect.type === "datagram") this.#metrics.received(effect.result);
      else if (effect.type === "purged") this.#metrics.purged(effect.count);
      else this.#log[effect.level](effect.fields, effect.message);
    }
    this.#schedule();
  }

  #sendMap(map: MapEffect): void {
    this.#metrics.mapSent(map.cause);
    for (const { to, tail } of map.receivers) {
      this.#ports[to.via]?.send(to, [map.shared, tail], (result) => {
        this.#metrics.sent(result);
        if (result !== "sent") this.#socketFailed("send", { result, to: to.endpoint });
      });
    }
  }

  #socketFailed(kind: "receive" | "send", fields: Record<string, unknown>): void {
    const allowed = this.#socketLog.ask(kind, clock());
    if (allowed === undefined || this.#stopped) return;
    this.#log.warn(
      { ...fields, suppressed: allowed.suppressed },
      `a datagram could not be ${kind === "send" ? "sent" : "received"}`,
    );
  }

  /** One timer, for the earliest thing due; a later one than needed is moved, an earlier one finds nothing to do. */
  #schedule(): void {
    const at = this.#rendezvous.nextAt;
    if (at === undefined || this.#stopped || (this.#timer !== undefined && this.#timer.at <= at)) return;
    clearTimeout(this.#timer?.handle);
    const handle = setTimeout(
      () => {
        this.#timer = undefined;
        this.#apply(this.#rendezvous.tick(clock()));
      },
      Math.max(0, Math.ceil(at - clock())),
    );
    this.#timer = { at, handle };
  }
}

function machineWithoutIpv6(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
}
