/** Foreign peers (genuine Badger nodes) among vpnd nodes, in virtual time. */
import assert from "node:assert/strict";
import { networkKeys } from "../../src/daemon/core/keys/schedule.js";
import { hex } from "../../src/daemon/core/mesh/admission.js";
import { ForeignNode, type ForeignOptions } from "./foreign-node.js";
import { type Simulation, simTest } from "./simulation.js";

const typed = new Uint8Array(32);
typed.set(new TextEncoder().encode("psk"));
const psk = hex(networkKeys(typed, true).epoch.dtlsPsk);

function foreignNode(s: Simulation, virtualIp: string, options: Partial<ForeignOptions> = {}): ForeignNode {
  const place = options.host === undefined ? s.site("port-restricted") : {};
  const all = { virtualIp, host: "", server: s.server.endpoint, psk, ...place, ...options };
  return new ForeignNode(s.clock, s.network, all);
}

for (const [role, virtualIp] of [
  ["follows", "10.0.0.5"],
  ["leads", "10.0.0.50"],
] as const) {
  simTest(`a foreign node that ${role} gets packets and nothing else`, 3, (s) => {
    const a = s.node("10.0.0.10", { badger: true });
    a.announce({ exit: { v4: false, v6: false }, routes: ["172.20.1.0/24"] });
    const foreign = foreignNode(s, virtualIp);
    assert.ok(
      s.until(() => a.isUp(virtualIp) && foreign.connections === 1, 40_000),
      "up",
    );
    assert.equal(a.peer(virtualIp)?.foreign, true);
    assert.equal(a.pins.length, 0, "foreign peers are not pinned");
    foreign.sendTo("10.0.0.10");
    assert.ok(s.until(() => a.heard(virtualIp) === 1, 1000));
    assert.ok(a.sendTo(virtualIp));
    assert.ok(s.until(() => foreign.received.includes(`10.0.0.10>${virtualIp}`), 1000));
    // Longer than any probe, keep-alive and rekey; now and then a packet each way.
    for (let i = 0; i < 200; i++) {
      s.clock.run(9000);
      foreign.sendTo("10.0.0.10");
      a.sendTo(virtualIp);
    }
    assert.deepEqual(foreign.offences, []);
    assert.ok(!a.effects.some((effect) => effect.type === "send-control"), "no announcement");
    assert.equal(foreign.connections, 1);
    assert.ok(a.isUp(virtualIp));
  });
}

simTest("only the leader punches after the handshake, every 10 s, and never after the end", 2, (s) => {
  const a = s.node("10.0.0.10", { badger: true });
  let punches = 0;
  const low = foreignNode(s, "10.0.0.5");
  const high = foreignNode(s, "10.0.0.50");
  assert.ok(s.until(() => a.isUp("10.0.0.5") && a.isUp("10.0.0.50"), 40_000));
  s.network.watch = (from, _, payload) => {
    const byA = from.startsWith(`${a.options.nat?.address}:`);
    if (byA && payload instanceof Uint8Array && payload.length === 1) punches += 1;
  };
  s.clock.run(100_000);
  assert.ok(punches >= 9 && punches <= 11, `${punches} punches in 100 s, to the follower only`);
  low.stop();
  high.stop();
  assert.ok(s.until(() => !s.server.has("10.0.0.5") && !a.isUp("10.0.0.5") && !a.isUp("10.0.0.50"), 100_000));
  punches = 0;
  s.clock.run(60_000);
  assert.equal(punches, 0);
});

simTest("a foreign follower that restarts silently is dialled again once packets go unanswered", 2, (s) => {
  const a = s.node("10.0.0.10", { badger: true });
  const site = s.site("open");
  const first = foreignNode(s, "10.0.0.5", site);
  assert.ok(s.until(() => a.isUp("10.0.0.5"), 40_000));
  first.stop();
  const second = foreignNode(s, "10.0.0.5", site);
  const reached = () => {
    a.sendTo("10.0.0.5");
    s.clock.run(1000);
    return second.received.length > 0;
  };
  let seconds = 0;
  while (!reached() && seconds < 60) seconds += 1;
  assert.ok(seconds < 60, "reached within a minute");
  assert.deepEqual(second.offences, []);
});

simTest("an address that is pinned to a vpnd node is never given to a foreign one", 2, (s) => {
  const a = s.node("10.0.0.10", { badger: true });
  const b = s.node("10.0.0.20", { badger: true });
  assert.ok(s.until(() => s.meshed(), 30_000));
  b.stop();
  assert.ok(s.until(() => !s.server.has("10.0.0.20"), 60_000));
  const thief = foreignNode(s, "10.0.0.20", s.site("open"));
  s.clock.run(20_000);
  assert.equal(a.isUp("10.0.0.20"), false);
  assert.equal(a.peer("10.0.0.20")?.reason?.code, "pinned");
  thief.sendTo("10.0.0.10");
  s.clock.run(1000);
  assert.equal(a.heard("10.0.0.20"), 0);
});

simTest("outside badger networks a foreign node gets nothing", 1, (s) => {
  const a = s.node("10.0.0.10");
  const derived = hex(networkKeys(typed, false).epoch.dtlsPsk);
  const foreign = foreignNode(s, "10.0.0.50", { psk: derived });
  s.clock.run(60_000);
  assert.equal(a.isUp("10.0.0.50"), false);
  foreign.sendTo("10.0.0.10");
  s.clock.run(1000);
  assert.equal(a.heard("10.0.0.50"), 0);
});

simTest("two foreign nodes behind one symmetric NAT are told apart by their packets", 2, (s) => {
  const a = s.node("10.0.0.10", { badger: true, ...s.site("open") });
  const site = s.site("symmetric");
  const x = foreignNode(s, "10.0.0.50", { ...site, host: "192.168.1.10" });
  const y = foreignNode(s, "10.0.0.60", { ...site, host: "192.168.1.11" });
  s.clock.run(10_000);
  assert.ok(!a.isUp("10.0.0.50") && !a.isUp("10.0.0.60"), "one public address: could be either");
  x.sendTo("10.0.0.10");
  y.sendTo("10.0.0.10");
  assert.ok(s.until(() => a.isUp("10.0.0.50") && a.isUp("10.0.0.60"), 2000));
  a.sendTo("10.0.0.50");
  a.sendTo("10.0.0.60");
  s.clock.run(1000);
  assert.deepEqual(x.received, ["10.0.0.10>10.0.0.50"]);
  assert.deepEqual(y.received, ["10.0.0.10>10.0.0.60"]);
});

simTest("a foreign node with our virtual IP is a conflict", 1, (s) => {
  foreignNode(s, "10.0.0.10", s.site("open"));
  s.clock.run(3000);
  const late = s.node("10.0.0.10", { badger: true });
  assert.ok(s.until(() => late.conflict !== undefined, 10_000));
  assert.match(late.conflict ?? "", /held by 203\.0\.113\.1:4400/);
});

for (const [role, virtualIp] of [
  ["follows", "10.0.0.5"],
  ["leads", "10.0.0.50"],
] as const) {
  simTest(`a foreign node that ${role} keeps its session until its PSK is given up`, 2, (s) => {
    const a = s.node("10.0.0.10", { badger: true });
    const foreign = foreignNode(s, virtualIp);
    assert.ok(s.until(() => a.isUp(virtualIp) && foreign.connections === 1, 40_000));
    const dialled = a.connects();
    a.setPsks(["new", "psk"]);
    for (let i = 0; i < 20; i++) {
      s.clock.run(9000);
      foreign.sendTo("10.0.0.10");
      assert.ok(a.isUp(virtualIp));
    }
    // A second handshake could end the first one over there.
    assert.equal(a.connects(), dialled);
    a.setPsks(["new"]);
    s.clock.run(1000);
    assert.ok(!a.isUp(virtualIp));
    assert.deepEqual(foreign.offences, []);
  });
}
