/** What is measured of the gateway: how many clients it has, whom it turned away, and, unless that is too much, each client. */
import { Gauge, type Registry } from "prom-client";
import type { MetricsInput } from "./metrics-input.js";
import { mirror } from "./mirror.js";

const states = ["up", "away"] as const;
const client = ["address", "user"] as const;

export function addGateway(registers: Registry[], { gateway, perPeer }: MetricsInput): void {
  if (gateway === undefined) return;
  const ask = shared(gateway);
  new Gauge({
    name: "vpnd_gateway_clients",
    help: "Clients of the gateway: connected, or away with their addresses kept",
    labelNames: ["state"],
    registers,
    async collect() {
      const { clients } = await ask();
      this.reset();
      for (const state of states) this.set({ state }, clients.filter((one) => one.state === state).length);
    },
  });
  const refusedHelp = "Connections to the gateway that were not served";
  mirror("vpnd_gateway_refused_total", refusedHelp, ["reason"], registers, async (add) => {
    for (const [reason, count] of Object.entries((await ask()).refused)) add({ reason }, count);
  });
  const straysHelp = "Packets of the clients' shared device that went to none of them";
  mirror("vpnd_gateway_stray_packets_total", straysHelp, ["reason"], registers, async (add) => {
    for (const [reason, count] of Object.entries((await ask()).strays)) add({ reason }, count);
  });
  if (!perPeer) return;
  const bytesHelp = "Bytes of inner packets from and to the client";
  mirror("vpnd_gateway_client_bytes_total", bytesHelp, [...client, "direction"], registers, async (add) => {
    for (const { address, user, rxBytes, txBytes } of (await ask()).clients) {
      add({ address, user, direction: "rx" }, rxBytes);
      add({ address, user, direction: "tx" }, txBytes);
    }
  });
  const dropsHelp = "Packets from or to the client that went no further";
  mirror(
    "vpnd_gateway_client_dropped_packets_total",
    dropsHelp,
    [...client, "reason"],
    registers,
    async (add) => {
      for (const { address, user, drops } of (await ask()).clients)
        for (const [reason, count] of Object.entries(drops)) add({ address, user, reason }, count);
    },
  );
}

/** Who asks while an answer is on its way gets the same: one collection asks once. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask().finally(() => {
      answer = undefined;
    });
    return answer;
  };
}
