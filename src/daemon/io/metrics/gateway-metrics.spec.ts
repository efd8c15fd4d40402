import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { addGateway } from "./gateway-metrics.js";

async function lines(perPeer: boolean): Promise<string[]> {
  const registry = new Registry();
  const one = {
    address: "10.91.0.2",
    user: "alice",
    state: "up",
    rxBytes: 7,
    txBytes: 9,
    drops: { "foreign-source": 3 },
  };
  addGateway([registry], {
    version: "1",
    perPeer,
    networks: () => [],
    events: () => ({}),
    eventsLost: () => 0,
    loopLag: () => 0,
    gateway: async () => ({
      clients: [one, { ...one, address: "10.91.0.6", state: "away" }],
      refused: { "no-token": 4 },
      strays: { "no-client": 5 },
    }),
  });
  return (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

test("clients are counted by state, and each has series of its own", async () => {
  const all = await lines(true);
  for (const line of [
    'vpnd_gateway_clients{state="up"} 1',
    'vpnd_gateway_clients{state="away"} 1',
    'vpnd_gateway_refused_total{reason="no-token"} 4',
    'vpnd_gateway_stray_packets_total{reason="no-client"} 5',
    'vpnd_gateway_client_bytes_total{address="10.91.0.2",user="alice",direction="rx"} 7',
    'vpnd_gateway_client_bytes_total{address="10.91.0.6",user="alice",direction="tx"} 9',
    'vpnd_gateway_client_dropped_packets_total{address="10.91.0.2",user="alice",reason="foreign-source"} 3',
  ])
    assert.ok(all.includes(line), `${line}\n${all.join("\n")}`);
});

test("without series of peers there are none of clients", async () => {
  assert.deepEqual(
    (await lines(false)).filter((line) => line.includes("client_")),
    [],
  );
});
