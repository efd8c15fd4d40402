import assert from "node:assert/strict";
import { test } from "node:test";
import { Bench, hello, of, ourEndpoint, record, server, up } from "./mesh-bench.js";
import type { MeshEffect } from "./types.js";

const away = "5.5.5.5:5";
const elsewhere = "6.6.6.6:6";

/** The events among effects, in short. */
function told(effects: readonly MeshEffect[]): string[] {
  return of([...effects], "event").map(({ event: { type, peer, state, reason, repeats } }) =>
    [type, peer?.virtualIp ?? "network", state, reason?.code, repeats].filter(Boolean).join(" "),
  );
}

/** A bench with a living session with 10.0.0.9, which the map shows too. */
function connected(): { bench: Bench; beta: ReturnType<typeof record>; peer: number } {
  const bench = Bench.ready([["10.0.0.9", away]]);
  const beta = record(["10.0.0.9"], 2);
  const [dial] = of(bench.tick(0), "connect");
  const tag = dial?.tag ?? bench.core.view({ now: 0, wall: 0 }).peers.length;
  const [admit] = of(bench.event(hello(away, tag, beta)), "admit");
  assert.ok(admit);
  const effects = bench.event(up(admit.peer, away, tag));
  assert.deepEqual(told(effects), ["up 10.0.0.9 up"]);
  return { bench, beta, peer: admit.peer };
}

test("what comes and goes within one moment is told, in order", () => {
  const { bench, peer } = connected();
  const effects = [
    ...bench.event({ type: "silent", peer }),
    ...bench.event({ type: "alive", peer }),
    ...bench.event({ type: "path", peer, endpoint: elsewhere }),
    ...bench.event({ type: "path", peer, endpoint: away }),
    ...bench.event({ type: "closed", peer, assoc: 50, reason: 0 }),
  ];
  assert.deepEqual(told(effects), [
    "down 10.0.0.9 connecting timeout",
    "up 10.0.0.9 up",
    "path 10.0.0.9 up",
    "path 10.0.0.9 up",
    "down 10.0.0.9 offline offline",
  ]);
  const view = bench.core.view({ now: 0, wall: 0 });
  assert.equal(view.peers[0]?.pathChanges, 2);
  assert.equal(view.pathChanges, 2);
});

test("a renewed session at the same place is no event", () => {
  const { bench, beta, peer } = connected();
  bench.event(hello(away, 0, beta, 51));
  assert.deepEqual(told(bench.event(up(peer, away, 0, 51))), []);
  assert.deepEqual(told(bench.map([["10.0.0.9", away]])), []);
});

test("an impostor is told of beside the living session, which stays", () => {
  const { bench, peer } = connected();
  const impostor = record(["10.0.0.9"], 3, "impostor");
  const effects = bench.event(hello(elsewhere, 0, impostor, 60));
  assert.deepEqual(of(effects, "refuse"), [{ type: "refuse", assoc: 60, reason: "pinned" }]);
  assert.deepEqual(told(effects), ["error 10.0.0.9 up pinned"]);
  assert.equal(of(effects, "event")[0]?.event.endpoint, elsewhere);
  assert.equal(bench.core.peerAt("10.0.0.9")?.id, peer);
});

test("a flood of impostors is one event, and then one with their number", () => {
  const { bench } = connected();
  const impostor = record(["10.0.0.9"], 3, "impostor");
  const effects: MeshEffect[] = [];
  for (let i = 0; i < 500; i++) {
    effects.push(...bench.event(hello(`6.6.${i >> 8}.${i & 255}:6`, 0, impostor, 60 + i)));
  }
  assert.deepEqual(told(effects), ["error 10.0.0.9 up pinned"]);
  const later: MeshEffect[] = [];
  for (const at of [59_000, 61_000, 200_000, 400_000]) {
    bench.map([["10.0.0.9", away]]);
    later.push(...bench.runTo(at));
  }
  assert.deepEqual(
    told(later).filter((line) => line.includes("pinned")),
    ["error 10.0.0.9 up pinned 499"],
  );
});

test("a forged hello and a wrong PSK are told beside a session, and not twice without one", () => {
  const { bench } = connected();
  assert.deepEqual(told(bench.event({ type: "wrong-psk", tag: 0, role: "server", endpoint: away })), [
    "error 10.0.0.9 up wrong-psk",
  ]);
  assert.deepEqual(told(bench.event({ type: "wrong-psk", tag: 0, role: "server", endpoint: "7.7.7.7:7" })), [
    "error network wrong-psk",
  ]);
  const failed = { type: "failed", assoc: 70, tag: 0, endpoint: elsewhere, reason: "signature" } as const;
  assert.deepEqual(told(bench.event(failed)), ["error network signature"]);

  const lonely = Bench.ready([["10.0.0.11", away]]);
  const hint = { type: "wrong-psk", tag: 0, role: "server", endpoint: away } as const;
  assert.deepEqual(told(lonely.event(hint)), ["error 10.0.0.11 refused wrong-psk"]);
  assert.deepEqual(told(lonely.event(hint)), []);
});

test("silent servers are told, and their return", () => {
  const bench = Bench.ready();
  const lost = told(bench.runTo(60_000));
  assert.deepEqual(lost, ["down network connecting timeout"]);
  bench.map([], server);
  assert.deepEqual(told(bench.tick(60_001)), []);
});

test("a peer that is forgotten while it is up, and all at the end", () => {
  const first = connected().bench;
  const { effects } = first.core.forget("10.0.0.9", { now: 1, wall: 1 });
  assert.deepEqual(told(effects), ["down 10.0.0.9 offline removed"]);
  const ends = connected().bench.core.end();
  assert.deepEqual(
    ends.map(({ type, reason }) => [type, reason?.code]),
    [["down", "network-down"]],
  );
});

test("another node that claims our address is told, and we stay", () => {
  const bench = Bench.ready();
  const thief = record(["10.0.0.10"], 4, "thief");
  assert.deepEqual(told(bench.event(hello(elsewhere, 0, thief))), ["error network conflict"]);
  assert.equal(bench.core.view({ now: 0, wall: 0 }).publicEndpoint, ourEndpoint);
});
