/** What vpnd measures (docs/metrics.md). Values are read when somebody asks, never pushed. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { addGateway } from "./gateway-metrics.js";
import type { MetricsInput, NetworkMeasure } from "./metrics-input.js";
import { mirror } from "./mirror.js";
import { addPeers } from "./peer-metrics.js";

const rejections = ["limit", "user-limit", "protocol", "silent"] as const;
/** Why a connection to the API was ended: all are taken, all of this user are, what came was no HTTP/2, or nothing came. */
export type Rejection = (typeof rejections)[number];

const networkStates = ["up", "connecting", "error", "down"] as const;
const lagPercentiles = [50, 99, 100] as const;

export class Metrics {
  readonly #registry = new Registry();
  readonly #refused: Counter;
  readonly #rejected: Counter<"reason">;
  readonly #measure: () => void;

  constructor(source: MetricsInput) {
    // One look for all metrics of an answer.
    let measured: NetworkMeasure[] = [];
    this.#measure = () => {
      measured = source.networks();
    };
    const input: MetricsInput = { ...source, networks: () => measured };
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: "vpnd_build_info",
      help: "1; the labels say which vpnd this is",
      labelNames: ["version", "node"],
      registers,
    }).set({ version: input.version, node: process.version }, 1);
    new Gauge({
      name: "vpnd_event_loop_lag_seconds",
      help: "How late the main thread's timers come, over the last minute",
      labelNames: ["quantile"],
      registers,
      collect() {
        for (const percentile of lagPercentiles)
          this.set({ quantile: percentile / 100 }, input.loopLag(percentile));
      },
    });
    this.#refused = new Counter({
      name: "vpnd_api_refused_total",
      help: "Calls of the control API that the caller was not permitted to make",
      registers,
    });
    this.#rejected = new Counter({
      name: "vpnd_api_connections_rejected_total",
      help: "Connections to the control API that were ended by vpnd, by reason",
      labelNames: ["reason"],
      registers,
    });
    for (const reason of rejections) this.#rejected.inc({ reason }, 0);
    addNetworks(registers, input);
    addPeers(registers, input);
    addNames(registers, input);
    addGateway(registers, input);
    addEvents(registers, input);
  }

  refused(): void {
    this.#refused.inc();
  }

  rejected(reason: Rejection): void {
    this.#rejected.inc({ reason });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in the Prometheus text format. */
  text(): Promise<string> {
    this.#measure();
    return this.#registry.metrics();
  }
}

function addNetworks(registers: Registry[], { networks }: MetricsInput): void {
  new Gauge({
    name: "vpnd_networks",
    help: "Joined networks by state",
    labelNames: ["state"],
    registers,
    collect() {
      for (const state of networkStates) this.set({ state }, 0);
      for (const { state } of networks()) this.inc({ state });
    },
  });
  new Gauge({
    name: "vpnd_network_up",
    help: "1 if the network is up",
    labelNames: ["network"],
    registers,
    collect() {
      this.reset();
      for (const { name, state } of networks()) this.set({ network: name }, state === "up" ? 1 : 0);
    },
  });
  const traffic = ["network", "direction"] as const;
  mirror(
    "vpnd_network_bytes_total",
    "Bytes of inner packets since the network came up",
    [...traffic],
    registers,
    (add) => {
      for (const { name: network, counters } of networks()) {
        add({ network, direction: "rx" }, counters?.rxBytes ?? 0);
        add({ network, direction: "tx" }, counters?.txBytes ?? 0);
      }
    },
  );
  mirror(
    "vpnd_network_packets_total",
    "Inner packets since the network came up",
    [...traffic],
    registers,
    (add) => {
      for (const { name: network, counters } of networks()) {
        add({ network, direction: "rx" }, counters?.rxPackets ?? 0);
        add({ network, direction: "tx" }, counters?.txPackets ?? 0);
      }
    },
  );
  mirror(
    "vpnd_dropped_packets_total",
    "Packets and datagrams that went no further, by reason",
    ["network", "reason"],
    registers,
    (add) => {
      for (const { name: network, counters } of networks())
        for (const [reason, packets] of Object.entries(counters?.drops ?? {}))
          add({ network, reason }, packets);
    },
  );
  new Gauge({
    name: "vpnd_psk_expiry_timestamp_seconds",
    help: "When a former PSK stops being accepted; absent when only one is accepted",
    labelNames: ["network", "epoch"],
    registers,
    collect() {
      this.reset();
      for (const { name: network, formerPsks } of networks())
        for (const { epoch, until } of formerPsks) this.set({ network, epoch }, until / 1000);
    },
  });
  mirror(
    "vpnd_handshakes_total",
    "Ends of handshakes since the network came up, by result",
    ["network", "result"],
    registers,
    (add) => {
      for (const { name: network, handshakes } of networks())
        for (const [result, count] of Object.entries(handshakes)) add({ network, result }, count);
    },
  );
}

/** Apart from the rest of a network, as only those that ask have to do with it. */
function addNames(registers: Registry[], { networks }: MetricsInput): void {
  mirror(
    "vpnd_name_queries_total",
    "Questions to the network's DNS responder, by what became of them",
    ["network", "outcome"],
    registers,
    (add) => {
      for (const { name: network, nameQueries } of networks())
        for (const [outcome, count] of Object.entries(nameQueries)) add({ network, outcome }, count);
    },
  );
}

function addEvents(registers: Registry[], { events, eventsLost }: MetricsInput): void {
  mirror("vpnd_events_total", "Events by type (docs/events.md)", ["type"], registers, (add) => {
    for (const [type, count] of Object.entries(events())) add({ type }, count);
  });
  mirror("vpnd_events_lost_total", "Events that could not be written to disk", [], registers, (add) => {
    add({}, eventsLost());
  });
}
