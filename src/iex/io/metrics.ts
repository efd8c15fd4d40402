/** What iexd counts (docs/metrics.md). */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { MapCause } from "../core/map-schedule.js";
import { type DatagramResult, datagramResults } from "../core/rendezvous.js";
import type { SendResult } from "./udp-port.js";

const sendResults = ["sent", "error", "queue-full"] as const satisfies readonly SendResult[];
const mapCauses = ["period", "change"] as const satisfies readonly MapCause[];

export class Metrics {
  readonly #registry = new Registry();
  readonly #datagrams: Counter<"direction" | "result">;
  readonly #maps: Counter<"cause">;
  readonly #purged: Counter;

  /** @param nodes registered nodes now @param maxNodes how many there may be */
  constructor(version: string, nodes: () => number, maxNodes: number) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: "iexd_build_info",
      help: "1; the labels say which iexd this is",
      labelNames: ["version", "node"],
      registers,
    }).set({ version, node: process.version }, 1);
    new Gauge({
      name: "iexd_nodes",
      help: "Registered nodes",
      registers,
      collect() {
        this.set(nodes());
      },
    });
    new Gauge({ name: "iexd_nodes_max", help: "Nodes that may register (--max-nodes)", registers }).set(
      maxNodes,
    );
    this.#datagrams = new Counter({
      name: "iexd_datagrams_total",
      help: "UDP datagrams by direction, and what became of them",
      labelNames: ["direction", "result"],
      registers,
    });
    this.#maps = new Counter({
      name: "iexd_maps_sent_total",
      help: "Times the map went to all nodes, by cause",
      labelNames: ["cause"],
      registers,
    });
    this.#purged = new Counter({
      name: "iexd_nodes_purged_total",
      help: "Nodes removed because they sent no heartbeat for 30 s",
      registers,
    });
    // Series that exist from the start: a rate over the first event is right.
    for (const result of datagramResults) this.#datagrams.inc({ direction: "in", result }, 0);
    for (const result of sendResults) this.#datagrams.inc({ direction: "out", result }, 0);
    for (const cause of mapCauses) this.#maps.inc({ cause }, 0);
  }

  received(result: DatagramResult): void {
    this.#datagrams.inc({ direction: "in", result });
  }

  sent(result: SendResult): void {
    this.#datagrams.inc({ direction: "out", result });
  }

  mapSent(cause: MapCause): void {
    this.#maps.inc({ cause });
  }

  purged(count: number): void {
    this.#purged.inc(count);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in the Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
