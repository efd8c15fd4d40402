/** What is measured of the gateway: how many clients it has, whom it turned away, and, unless that is too much, each client. */
import { Gauge, type Registry } from "prom-client";
import type { MetricsInput } from "./metrics-input.js";
import { mirror } from "./mirror.js";

const states = ["up", "away"] as const;
const client = ["address", "user"] as const;

export function addGateway(registers: Registry[], { gateway, perPeer }: MetricsInput): void {
  if (gateway === undefined) return;
  new Gauge({
    name: "vpnd_gateway_clients",
    help: "Clients of the gateway: connected, or away with their addresses kept",
    labelNames: ["state"],
    registers,
    collect() {
      this.reset();
      const { clients } = gateway();
      for (const state of states) this.set({ state }, clients.filter((one) => one.state === state).length);
    },
  });
  const refusedHelp = "Connections to the gateway that were not served";
  mirror("vpnd_gateway_refused_total", refusedHelp, ["reason"], registers, (add) => {
    for (const [reason, count] of Object.entries(gateway().refused)) add({ reason }, count);
  });
  if (!perPeer) return;
  const bytesHelp = "Bytes of inner packets from and to the client";
  mirror("vpnd_gateway_client_bytes_total", bytesHelp, [...client, "direction"], registers, (add) => {
    for (const { address, user, rxBytes, txBytes } of gateway().clients) {
      add({ address, user, direction: "rx" }, rxBytes);
      add({ address, user, direction: "tx" }, txBytes);
    }
  });
  const dropsHelp = "Packets from or to the client that went no further";
  mirror("vpnd_gateway_client_dropped_packets_total", dropsHelp, [...client, "reason"], registers, (add) => {
    for (const { address, user, drops } of gateway().clients)
      for (const [reason, count] of Object.entries(drops)) add({ address, user, reason }, count);
  });
}
