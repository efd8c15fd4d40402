/** The mesh core under NATs, loss, restarts and attackers, in virtual time. */
import assert from "node:assert/strict";
import type { NatKind } from "./network.js";
import { simTest } from "./simulation.js";

simTest("three nodes become a mesh and talk both ways, with and without loss", 10, (s) => {
  s.network.options = { loss: s.random() < 0.5 ? 0 : 0.15, minDelayMs: 5, maxDelayMs: 80 };
  const nodes = [s.node("10.0.0.10"), s.node("10.0.0.20"), s.node("10.0.0.30")];
  assert.ok(
    s.until(() => s.meshed(), 60_000),
    "meshed",
  );
  s.network.options = { ...s.network.options, loss: 0 };
  for (const a of nodes) for (const b of nodes) if (a !== b) assert.ok(s.talks(a, b));
  for (const node of nodes) assert.ok(node.ready);
});

const passable: [NatKind, NatKind][] = [
  ["open", "open"],
  ["open", "port-restricted"],
  ["full-cone", "full-cone"],
  ["full-cone", "port-restricted"],
  ["port-restricted", "port-restricted"],
];
for (const [left, right] of passable) {
  simTest(`${left} and ${right} connect whoever leads`, 3, (s) => {
    const a = s.node("10.0.0.10", s.site(left));
    const b = s.node("10.0.0.20", s.site(right));
    const c = s.node("10.0.0.9", s.site(right));
    const pairs = [
      [a, b],
      [a, c],
    ] as const;
    for (const [x, y] of pairs) {
      assert.ok(s.until(() => x.isUp(y.options.virtualIp) && y.isUp(x.options.virtualIp), 60_000));
      assert.ok(s.talks(x, y));
      assert.ok(s.talks(y, x));
    }
  });
}

for (const kind of ["open", "full-cone"] as const) {
  // The other way round the leader would dial a mapping that lets nobody but the server in.
  simTest(`symmetric connects to ${kind} where symmetric leads`, 3, (s) => {
    const a = s.node("10.0.0.10", s.site(kind));
    const b = s.node("10.0.0.20", s.site("symmetric"));
    assert.ok(s.until(() => s.meshed(), 60_000));
    assert.ok(s.talks(a, b) && s.talks(b, a));
  });
}

simTest("symmetric and symmetric do not connect, and say timeout", 2, (s) => {
  const a = s.node("10.0.0.10", s.site("symmetric"));
  const b = s.node("10.0.0.20", s.site("symmetric"));
  s.clock.run(60_000);
  assert.equal(b.peer("10.0.0.10")?.state, "connecting");
  assert.equal(b.peer("10.0.0.10")?.reason?.code, "timeout");
  assert.equal(a.peer("10.0.0.20")?.state, "connecting");
});

simTest("without UDP the carrier says that no server answers", 1, (s) => {
  const a = s.node("10.0.0.10", s.site("blocked"));
  s.clock.run(20_000);
  assert.equal(a.ready, false);
  assert.equal(a.view().state, "connecting");
  assert.equal(a.view().reason?.code, "timeout");
  assert.equal(a.view().servers[0]?.state, "silent");
});

simTest("two nodes behind one NAT meet on their private addresses", 2, (s) => {
  const site = s.site("port-restricted");
  const a = s.node("10.0.0.10", { ...site, host: "192.168.1.10" });
  const b = s.node("10.0.0.20", { ...site, host: "192.168.1.11" });
  assert.ok(s.until(() => s.meshed(), 30_000));
  assert.equal(b.peer("10.0.0.10")?.endpoint, "192.168.1.10:4400");
  assert.ok(s.talks(a, b));
});

simTest("tunnels outlive the server, and new nodes join when it is back", 3, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  const dialled = b.connects();
  s.server.stop();
  s.clock.run(120_000);
  assert.ok(s.talks(a, b) && s.talks(b, a));
  assert.equal(a.view().state, "connecting");
  assert.equal(a.view().servers[0]?.state, "silent");
  s.server.start();
  const c = s.node("10.0.0.30");
  assert.ok(s.until(() => s.meshed() && a.view().state === "up", 60_000));
  assert.equal(b.connects(), dialled, "no session was renewed");
  assert.ok(s.talks(c, a));
});

simTest("a node that dies is offline after the purge, and is forgotten ten minutes later", 2, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  a.stop(false);
  assert.ok(s.until(() => b.peer("10.0.0.10")?.state === "connecting", 30_000));
  assert.equal(b.peer("10.0.0.10")?.reason?.code, "timeout");
  assert.ok(s.until(() => b.peer("10.0.0.10")?.state === "offline", 60_000));
  s.clock.run(590_000);
  assert.equal(b.peer("10.0.0.10")?.state, "offline");
  assert.ok(s.until(() => b.peer("10.0.0.10") === undefined, 60_000));
});

simTest("a node that stops is offline at once and is not dialled while it is gone", 2, (s) => {
  // Maps that overtake each other would make it vanish and come back, which ends the wait.
  s.network.options = { loss: 0, minDelayMs: 10, maxDelayMs: 10 };
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  const dialled = b.connects();
  a.stop();
  assert.ok(s.until(() => b.peer("10.0.0.10")?.state === "offline", 200));
  s.clock.run(4900);
  assert.equal(b.connects(), dialled);
});

simTest("a node that the server drops is hung up on", 2, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  // Only its way to the server is cut; the tunnel itself is fine.
  s.network.cut = (from, to) => from === a.options.nat?.address && to === "192.0.2.1";
  assert.ok(s.until(() => !s.server.has("10.0.0.10"), 60_000));
  s.clock.run(30_000);
  assert.ok(b.isUp("10.0.0.10"), "35 s have not passed");
  assert.ok(s.until(() => b.peer("10.0.0.10")?.state === "offline", 10_000));
});

simTest("a restarted node with the same key is back, also when killed and behind a new mapping", 5, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  for (const [victim, other] of [
    [a, b],
    [b, a],
  ] as const) {
    assert.ok(s.until(() => s.meshed(), 60_000));
    victim.stop(false);
    victim.options.nat?.forget();
    victim.start();
    const back = () => victim.ready && s.meshed() && s.talks(victim, other) && s.talks(other, victim);
    assert.ok(s.until(back, 60_000));
    assert.equal(victim.conflict, undefined);
  }
});

simTest("a NAT that forgets its mappings costs a reconnect, not the mesh", 3, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  b.options.nat?.forget();
  s.clock.run(60_000);
  assert.ok(s.until(() => s.meshed(), 30_000));
  assert.ok(s.talks(a, b) && s.talks(b, a));
});

simTest("churn: nodes come, go and die for minutes; those that stay are meshed in the end", 6, (s) => {
  s.network.options = { loss: 0.05, minDelayMs: 5, maxDelayMs: 100 };
  const kinds: NatKind[] = ["open", "full-cone", "port-restricted"];
  for (let i = 0; i < 6; i++) s.node(`10.0.0.${10 + i}`, s.site(kinds[i % 3] ?? "open"));
  for (let step = 0; step < 25; step++) {
    const node = s.nodes[Math.floor(s.random() * s.nodes.length)];
    if (node?.running === true) node.stop(s.random() < 0.5);
    else node?.start();
    if (s.random() < 0.1) {
      s.server.stop();
      s.clock.run(Math.floor(s.random() * 5000));
      s.server.start();
    }
    s.clock.run(Math.floor(s.random() * 10_000));
  }
  for (const node of s.nodes) if (!node.running) node.start();
  assert.ok(
    s.until(() => s.meshed(), 180_000),
    "meshed",
  );
  for (const a of s.nodes) for (const b of s.nodes) assert.ok(a === b || a.conflict === undefined);
});

simTest("a second node with a taken virtual IP is told who holds it; the holder keeps running", 3, (s) => {
  const alpha = s.node("10.0.0.10", { name: "alpha" });
  const other = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  const late = s.node("10.0.0.10", { name: "late" });
  assert.ok(s.until(() => late.conflict !== undefined, 36_000));
  assert.match(late.conflict ?? "", /^virtual IP 10\.0\.0\.10 is held by "alpha" at 203\.0\.113\.1:20000$/);
  assert.equal(late.ready, false);
  assert.ok(alpha.isUp("10.0.0.20") && other.isUp("10.0.0.10"));
  assert.ok(s.talks(alpha, other) && s.talks(other, alpha));
});

simTest("an entry with our virtual IP that nobody answers for is a conflict after 35 s", 1, (s) => {
  const silent = s.node("10.0.0.10", { name: "silent", psk: "other" });
  assert.ok(s.until(() => silent.ready, 10_000));
  const late = s.node("10.0.0.10", { name: "late" });
  s.clock.run(34_000);
  assert.equal(late.conflict, undefined);
  assert.equal(late.ready, false);
  assert.ok(s.until(() => late.conflict !== undefined, 3000));
  assert.match(late.conflict ?? "", /held by 203\.0\.113\.1:20000$/);
});

simTest("a node that lost its list of endpoints waits for the purge of its own old entry", 2, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  a.stop(false);
  a.options.nat?.forget();
  a.ownEndpoints = [];
  a.start();
  assert.ok(s.until(() => a.ready || a.conflict !== undefined, 40_000));
  assert.equal(a.conflict, undefined);
  assert.ok(s.until(() => s.meshed() && s.talks(a, b), 60_000));
});

simTest("a wrong PSK never gives a tunnel, and both sides say so", 2, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20", { psk: "wrong" });
  assert.ok(
    s.until(
      () =>
        a.peer("10.0.0.20")?.reason?.code === "wrong-psk" &&
        b.peer("10.0.0.10")?.reason?.code === "wrong-psk",
      20_000,
    ),
  );
  assert.equal(a.peer("10.0.0.20")?.state, "refused");
  s.clock.run(120_000);
  assert.equal(b.peer("10.0.0.10")?.reason?.code, "wrong-psk");
  assert.ok(b.connects() > 3, "retries go on");
  b.stop();
  const right = s.node("10.0.0.20", { ...s.site("open"), name: "right" });
  assert.ok(
    s.until(() => a.isUp("10.0.0.20") && right.isUp("10.0.0.10"), 60_000),
    "the right key gets in",
  );
});

simTest("a pinned address is refused to another node key until it is forgotten", 3, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  b.stop();
  s.clock.run(60_000);
  const thief = s.node("10.0.0.20", { ...s.site("open"), name: "thief", key: "thief" });
  s.clock.run(60_000);
  assert.equal(a.isUp("10.0.0.20"), false);
  assert.equal(a.peer("10.0.0.20")?.state, "refused");
  assert.equal(a.peer("10.0.0.20")?.reason?.code, "pinned");
  assert.equal(thief.peer("10.0.0.10")?.reason?.code, "pinned");
  assert.equal(a.forget("10.0.0.20"), true);
  assert.ok(s.until(() => a.isUp("10.0.0.20"), 60_000));
  assert.equal(a.forget("10.0.0.99"), false);
});

simTest("rekeys happen on the client's side and lose no packet", 2, (s) => {
  const a = s.node("10.0.0.10");
  const b = s.node("10.0.0.20");
  assert.ok(s.until(() => s.meshed(), 30_000));
  const first = b.peer("10.0.0.10")?.lastHandshake;
  const dialled = a.connects();
  let sent = 0;
  for (let i = 0; i < 1100; i++) {
    sent += Number(b.sendTo("10.0.0.10"));
    s.clock.run(1000);
    assert.ok(a.isUp("10.0.0.20") && b.isUp("10.0.0.10"));
  }
  assert.notEqual(b.peer("10.0.0.10")?.lastHandshake, first);
  assert.equal(a.connects(), dialled, "the DTLS server does not dial");
  assert.equal(sent, 1100);
  assert.equal(a.heard("10.0.0.20"), 1100);
});
