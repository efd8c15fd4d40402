/** Announcements between simulated nodes, with loss and restarts. */
import assert from "node:assert/strict";
import type { Announcement } from "../../src/daemon/core/routes/announcement.js";
import type { SimNode } from "./node.js";
import { type Simulation, simTest } from "./simulation.js";

const [ipA, ipB] = ["10.0.0.10", "10.0.0.11"];

const routes = (...prefixes: string[]): Announcement => ({
  exit: { v4: false, v6: false },
  routes: prefixes,
});

function pair(s: Simulation): { a: SimNode; b: SimNode } {
  const [a, b] = [s.node(ipA), s.node(ipB)];
  assert.ok(
    s.until(() => s.meshed(), 120_000),
    "meshed",
  );
  return { a, b };
}

const heard = (node: SimNode, from: string, what: Announcement) => () =>
  JSON.stringify(node.announcedBy(from)) === JSON.stringify(what);

simTest("the newest announcement arrives in spite of loss, and is then said no more", 8, (s) => {
  const { a, b } = pair(s);
  s.network.options = { loss: 0.4, minDelayMs: 5, maxDelayMs: 300 };
  for (let i = 0; i < 5; i++) {
    a.announce(routes(`10.${i}.0.0/16`));
    s.clock.run(Math.floor(s.random() * 1000));
  }
  const last = routes("10.4.0.0/16");
  assert.ok(s.until(heard(b, ipA, last), 120_000), "the last one arrived");
  s.network.options = { ...s.network.options, loss: 0 };
  s.clock.run(180_000);
  assert.deepEqual(b.announcedBy(ipA), last);
  const said = () => a.effects.filter((effect) => effect.type === "send-control").length;
  const before = said();
  s.clock.run(300_000);
  assert.equal(said(), before, "nothing more to say");
  assert.equal(a.announcedBy(ipB), undefined, "who announces nothing says nothing");
});

simTest("a restarted node is believed again, even if its clock went back", 4, (s) => {
  const { a, b } = pair(s);
  a.announce(routes("10.1.0.0/16", "10.2.0.0/16"));
  // Far ahead of what the next start will begin with.
  for (let i = 0; i < 3; i++) a.announce(routes(`10.${i}.0.0/16`));
  assert.ok(s.until(heard(b, ipA, routes("10.2.0.0/16")), 60_000), "before");
  a.stop(s.random() < 0.5);
  a.start();
  a.announce(routes("10.9.0.0/16"));
  assert.ok(s.until(heard(b, ipA, routes("10.9.0.0/16")), 120_000), "after the restart");
  b.stop(false);
  b.start();
  assert.ok(s.until(heard(b, ipA, routes("10.9.0.0/16")), 120_000), "after the other's restart");
});

simTest("who floods with changes is taken at its last word, slowly", 2, (s) => {
  const { a, b } = pair(s);
  let changes = 0;
  b.onEffect = (effect) => {
    if (effect.type === "changed") changes += 1;
  };
  for (let i = 0; i < 200; i++) {
    a.announce(routes(`10.${i}.0.0/16`));
    s.clock.run(10);
  }
  assert.ok(changes <= 12, `${changes} changes taken in 2 s`);
  assert.ok(s.until(heard(b, ipA, routes("10.199.0.0/16")), 120_000), "the last one");
});

simTest("a prefix belongs to one peer at a time, and a renewed session keeps it", 2, (s) => {
  const nodes = [ipA, ipB, "10.0.0.12"].map((address) => s.node(address));
  const [a] = nodes;
  assert.ok(a);
  assert.ok(
    s.until(() => s.meshed(), 120_000),
    "meshed",
  );
  const prefix = "172.20.1.7/32";
  a.setRoutes({ [ipB]: [prefix] });
  a.effects.length = 0;
  a.setRoutes({ "10.0.0.12": [prefix] });
  const set = a.effects.flatMap((effect) => (effect.type === "set-peer" ? [effect.prefixes.join()] : []));
  assert.deepEqual(set, [`${ipB}/32`, `10.0.0.12/32,${prefix}`]);
  a.effects.length = 0;
  s.clock.run(1_200_000);
  const renewed = a.effects.filter(
    (effect) => effect.type === "set-peer" && effect.prefixes.includes("10.0.0.12/32"),
  );
  assert.ok(renewed.length > 0, "the session was renewed");
  assert.ok(renewed.every((effect) => effect.type === "set-peer" && effect.prefixes.includes(prefix)));
});
