import assert from "node:assert/strict";
import { test } from "node:test";
import type { GatewayUser } from "../../core/gateway/users.js";
import type { Client } from "./client.js";
import { Clients } from "./clients.js";
import { Metering } from "./metering.js";
import type { Limit, Measured } from "./station-calls.js";

const quota = 1000;
const user = (name: string): GatewayUser => ({ name, tokenHash: "", created: 0, quota });

interface World {
  clients: Clients;
  metering: Metering;
  /** What each client has moved. */
  passed: Map<number, number>;
  /** What each station was told last. */
  limits: Map<number, readonly Limit[]>;
  used: Map<string, number>;
}

function world(): World {
  const clients = new Clients();
  const [passed, limits, used] = [new Map(), new Map(), new Map<string, number>()];
  const measured = (id: number): Measured => {
    const counters = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {}, learned: [] };
    return { id, counters: { ...counters, passedBytes: passed.get(id) ?? 0 } };
  };
  const metering = new Metering({
    clients,
    measure: async () => clients.all().map(({ id }) => measured(id)),
    limit: async (station, some) => void limits.set(station, some),
    spend: ({ name }, bytes) => {
      used.set(name, (used.get(name) ?? 0) + bytes);
      return Math.max(0, quota - (used.get(name) ?? 0));
    },
  });
  return { clients, metering, passed, limits, used };
}

function enter({ clients, passed }: World, id: number, name: string, station = 0): Client {
  const client: Client = {
    ...{ id, slot: id, user: name, name: "", remote: "", foreign: false, since: 0, station },
    state: "up",
    metered: { user: user(name), counted: 0 },
  };
  clients.add(client);
  passed.set(id, 0);
  return client;
}

test("what is left is dealt out among a user's connections, each at its station", async () => {
  const all = world();
  enter(all, 1, "alice");
  enter(all, 2, "alice", 1);
  enter(all, 3, "bob", 1);
  all.passed.set(1, 100);
  all.passed.set(3, 400);
  assert.deepEqual([...(await all.metering.look())], []);
  assert.deepEqual(all.limits.get(0), [{ id: 1, bytes: 100 + 450 }]);
  assert.deepEqual(all.limits.get(1), [
    { id: 2, bytes: 450 },
    { id: 3, bytes: 1000 },
  ]);
  // Together they never come to more.
  all.passed.set(1, 550);
  await all.metering.look();
  assert.deepEqual(all.limits.get(0), [{ id: 1, bytes: 550 + 225 }]);
  assert.deepEqual(all.used.get("alice"), 550);
});

test("who has nothing left is told of, once connected", async () => {
  const all = world();
  enter(all, 1, "alice");
  const away = enter(all, 2, "bob");
  all.passed.set(1, quota);
  all.passed.set(2, quota);
  away.state = "away";
  assert.deepEqual([...(await all.metering.look())], ["alice"]);
});

test("the first connection has it all, and another one waits until they share", () => {
  const all = world();
  assert.equal(all.metering.firstLimit(user("alice")), quota);
  enter(all, 1, "alice");
  assert.equal(all.metering.firstLimit(user("alice")), 0);
  assert.equal(all.metering.firstLimit(user("bob")), quota);
  const { quota: _, ...free } = user("carol");
  assert.equal(all.metering.firstLimit(free), undefined);
  assert.equal(all.metering.firstLimit(undefined), undefined);
});
