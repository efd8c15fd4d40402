import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMap } from "../../../common/badger/map.js";
import type { EngineEvent } from "../engine.js";
import { Bench, dialled, hello, of, ourEndpoint, record, sentTo, server, up, us } from "./mesh-bench.js";
import type { MeshConfig } from "./types.js";

test("heartbeats come at once, after 250 ms, 500 ms, 1 s, then every 2 s, and every 5 s once a map came", () => {
  const bench = new Bench();
  assert.deepEqual(of(bench.give({ type: "start" }), "resolve"), [
    { type: "resolve", server: "iex.example:9944" },
  ]);
  const first = bench.give({ type: "resolved", server: "iex.example:9944", endpoints: [server] });
  assert.deepEqual(sentTo(first), [server]);
  const times: number[] = [];
  while (bench.now < 9000) {
    const at = bench.core.wakeAt();
    if (sentTo(bench.tick(at)).length > 0) times.push(at);
  }
  assert.deepEqual(times, [250, 750, 1750, 3750, 5750, 7750, 9750]);
  bench.map([]);
  times.length = 0;
  while (bench.now < 24_000) {
    const at = bench.core.wakeAt();
    const effects = bench.tick(at);
    if (sentTo(effects).length > 0) {
      times.push(at);
      bench.map([]);
    }
  }
  assert.deepEqual(times, [14_750, 19_750, 24_750]);
});

test("maps count only from a configured server's address", () => {
  const bench = Bench.ready();
  bench.map([["10.0.0.9", "5.5.5.5:5"]], "192.0.2.2:9944");
  assert.deepEqual(bench.core.view({ now: 0, wall: 0 }).peers, []);
  bench.map([["10.0.0.9", "5.5.5.5:5"]]);
  assert.equal(bench.core.view({ now: 0, wall: 0 }).peers.length, 1);
});

test("servers that stay go on as they are; others are looked up, and those left out are heard no more", () => {
  const bench = Bench.ready();
  const states = () => bench.core.view({ now: bench.now, wall: 0 }).servers.map(({ state }) => state);
  const servers = ["iex.example:9944", "other.example:9944"];
  const effects = bench.give({ type: "servers", servers });
  assert.deepEqual(of(effects, "resolve"), [{ type: "resolve", server: "other.example:9944" }]);
  assert.deepEqual(states(), ["up", "unresolved"]);
  const other = "192.0.2.2:9944";
  const asked = bench.give({ type: "resolved", server: "other.example:9944", endpoints: [other] });
  assert.deepEqual(sentTo(asked), [other]);
  bench.map([["10.0.0.9", "5.5.5.5:5"]], other);
  assert.deepEqual(states(), ["up", "up"]);
  bench.give({ type: "servers", servers: ["other.example:9944"] });
  bench.map([["10.0.0.8", "5.5.5.8:5"]]);
  const { peers, state } = bench.core.view({ now: bench.now, wall: 0 });
  assert.equal(state, "up");
  assert.deepEqual(
    peers.map(({ virtualIp }) => virtualIp),
    ["10.0.0.9"],
  );
});

test("garbage from the server changes nothing", () => {
  const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]]);
  for (const text of ["", "{", "[]", '{"Nodes":3}', '{"Nodes":[null]}']) {
    bench.event({ type: "datagram", from: server, data: new TextEncoder().encode(text) });
  }
  assert.equal(bench.core.view({ now: 0, wall: 0 }).state, "up");
});

test("a silent server is looked up again, and its other addresses are tried", () => {
  const bench = Bench.ready();
  const effects = bench.runTo(40_000);
  assert.ok(of(effects, "resolve").length >= 1);
  const more = bench.give({
    type: "resolved",
    server: "iex.example:9944",
    endpoints: ["192.0.2.7:9944", "192.0.2.8:9944"],
  });
  const sent = sentTo([...more, ...bench.runTo(60_000)]);
  assert.ok(sent.includes("192.0.2.7:9944") && sent.includes("192.0.2.8:9944"));
  const [view] = bench.core.view({ now: bench.now, wall: 0 }).servers;
  assert.equal(view?.state, "silent");
});

test("the smaller address punches with each map until connected, and does not dial", () => {
  const bench = new Bench();
  bench.give({ type: "start" });
  bench.give({ type: "resolved", server: "iex.example:9944", endpoints: [server] });
  const first = bench.map([["10.0.0.20", "5.5.5.5:5"]]);
  assert.deepEqual(of(first, "send"), [{ type: "send", to: "5.5.5.5:5", data: new Uint8Array([0]) }]);
  assert.deepEqual(sentTo(bench.map([["10.0.0.20", "5.5.5.5:5"]])), ["5.5.5.5:5"]);
  assert.deepEqual(dialled(first), []);
  bench.event(hello("5.5.5.5:5", 0, record(["10.0.0.20"], 2)));
  bench.event(up(1, "5.5.5.5:5", 0));
  assert.deepEqual(sentTo(bench.map([["10.0.0.20", "5.5.5.5:5"]])), []);
});

test("who waits to be dialled is told after 15 s that nothing came, and no longer once it has come", () => {
  const bench = Bench.ready([["10.0.0.20", "5.5.5.5:5"]]);
  const reason = () => bench.core.view({ now: bench.now, wall: 0 }).peers[0]?.reason;
  bench.runTo(14_000);
  bench.map([["10.0.0.20", "5.5.5.5:5"]]);
  assert.equal(reason(), undefined);
  assert.equal(of(bench.runTo(15_500), "changed").length, 1);
  assert.equal(reason()?.code, "timeout");
  assert.match(reason()?.message ?? "", /has to start/);
  bench.event(hello("5.5.5.5:5", 0, record(["10.0.0.20"], 2)));
  bench.event(up(1, "5.5.5.5:5", 0));
  assert.equal(reason(), undefined);
});

test("the leader dials, backs off with growing pauses, and starts anew at a new endpoint", () => {
  const bench = new Bench();
  bench.give({ type: "start" });
  bench.give({ type: "resolved", server: "iex.example:9944", endpoints: [server] });
  assert.deepEqual(dialled(bench.map([["10.0.0.9", "5.5.5.5:5"]])), ["5.5.5.5:5"]);
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) {
    const failedAt = bench.now;
    const effects = bench.event({
      type: "failed",
      assoc: 1,
      tag: i + 1,
      endpoint: "5.5.5.5:5",
      reason: "timeout",
    });
    assert.deepEqual(dialled(effects), []);
    while (dialled(bench.tick(bench.core.wakeAt())).length === 0) bench.map([["10.0.0.9", "5.5.5.5:5"]]);
    pauses.push(bench.now - failedAt);
  }
  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  bench.event({ type: "failed", assoc: 1, tag: 9, endpoint: "5.5.5.5:5", reason: "timeout" });
  assert.deepEqual(dialled(bench.map([["10.0.0.9", "6.6.6.6:6"]])), ["6.6.6.6:6"]);
});

test("of several endpoints the newest is dialled first, the others a second later", () => {
  const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]]);
  bench.event({ type: "failed", assoc: 1, tag: 1, endpoint: "5.5.5.5:5", reason: "timeout" });
  const effects = bench.map([
    ["10.0.0.9", "5.5.5.5:5"],
    ["10.0.0.9", "6.6.6.6:6"],
  ]);
  assert.deepEqual(dialled(effects), ["6.6.6.6:6"]);
  assert.deepEqual(dialled(bench.runTo(1000)), ["5.5.5.5:5"]);
  // The second succeeds: the first is given up.
  const admitted = bench.event(hello("5.5.5.5:5", 3, record(["10.0.0.9"], 2)));
  assert.deepEqual(of(admitted, "abort"), [{ type: "abort", tag: 2 }]);
  assert.equal(of(admitted, "admit").length, 1);
});

test("a peer is set up with its own addresses before it is admitted, and pinned", () => {
  const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]]);
  const effects = bench.event(hello("5.5.5.5:5", 1, record(["10.0.0.9"], 2)));
  const order = effects
    .map((effect) => effect.type)
    .filter((type) => type === "set-peer" || type === "admit");
  assert.deepEqual(order, ["set-peer", "admit"]);
  assert.deepEqual(of(effects, "set-peer")[0]?.prefixes, ["10.0.0.9/32"]);
  assert.equal(of(effects, "persist-pins")[0]?.pins[0]?.address, "10.0.0.9");
  bench.event(up(1, "5.5.5.5:5", 1));
  const [peer] = bench.core.view({ now: 0, wall: 0 }).peers;
  assert.equal(peer?.name, "beta");
  assert.equal(peer?.state, "up");
});

const stranger = record(["10.0.0.9"], 2);
const badHellos: [string, EngineEvent, string, Partial<MeshConfig>?][] = [
  ["a record that is noise", hello("5.5.5.5:5", 1, { ...stranger, record: new Uint8Array(9) }), "bad-record"],
  [
    "a record of another key",
    hello("5.5.5.5:5", 1, { ...stranger, nodeKey: new Uint8Array(32) }),
    "bad-record",
  ],
  ["an address outside the network", hello("5.5.5.5:5", 0, record(["10.1.0.9"], 2)), "bad-record"],
  ["another address than the dialled one", hello("5.5.5.5:5", 1, record(["10.0.0.8"], 2)), "bad-record"],
  ["another address than on the map", hello("5.5.5.5:5", 0, record(["10.0.0.8"], 2)), "bad-record"],
  ["our own address", hello("7.7.7.7:7", 0, record([us], 2)), "conflict"],
  ["our own address among others", hello("5.5.5.5:5", 1, record(["10.0.0.9", us], 2)), "conflict"],
  ["our own key", hello("7.7.7.7:7", 0, record([us], 1)), "conflict"],
  [
    "a pinned address under another key",
    hello("5.5.5.5:5", 1, stranger),
    "pinned",
    { pins: [{ address: "10.0.0.9", nodeKey: "ee".repeat(32), since: 0, lastSeen: 0 }] },
  ],
];
for (const [what, event, refusal, change] of badHellos) {
  test(`a hello with ${what} is refused as ${refusal}`, () => {
    const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]], change);
    const effects = bench.event(event);
    assert.deepEqual(of(effects, "refuse"), [{ type: "refuse", assoc: 50, reason: refusal }]);
    assert.equal(of(effects, "admit").length, 0);
    assert.equal(of(effects, "persist-pins").length, 0);
    assert.equal(bench.core.view({ now: 0, wall: 0 }).state, "up", "we keep running");
  });
}

test("someone claiming our address leaves a note, and we stay", () => {
  const bench = Bench.ready();
  bench.event(hello("7.7.7.7:7", 0, record([us], 2, "thief")));
  const { notes } = bench.core.view({ now: 0, wall: 0 });
  assert.deepEqual(notes, ['virtual IP 10.0.0.10 is held by "thief" at 7.7.7.7:7']);
});

test("a node with a new address keeps its key, and its old address goes", () => {
  const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]]);
  bench.event(hello("5.5.5.5:5", 1, record(["10.0.0.9"], 2)));
  bench.event(up(1, "5.5.5.5:5", 1));
  bench.map([["10.0.0.8", "5.5.5.5:5"]]);
  const effects = bench.event(hello("5.5.5.5:5", 2, record(["10.0.0.8"], 2), 51));
  assert.deepEqual(of(effects, "set-peer")[0], { type: "set-peer", peer: 1, prefixes: ["10.0.0.8/32"] });
  assert.deepEqual(of(effects, "remove-peer"), [{ type: "remove-peer", peer: 2 }]);
  bench.event(up(1, "5.5.5.5:5", 2, 51));
  const { peers } = bench.core.view({ now: 0, wall: 0 });
  assert.deepEqual(
    peers.map((peer) => [peer.virtualIp, peer.state]),
    [["10.0.0.8", "up"]],
  );
});

test("an `up` for a peer that was forgotten in between is undone", () => {
  const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]]);
  bench.event(hello("5.5.5.5:5", 1, record(["10.0.0.9"], 2)));
  bench.core.forget("10.0.0.9", { now: 0, wall: 0 });
  const effects = bench.event(up(1, "5.5.5.5:5", 1));
  assert.deepEqual(of(effects, "remove-peer"), [{ type: "remove-peer", peer: 1 }]);
});

test("the end of a replaced association says nothing about the session", () => {
  const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]]);
  bench.event(hello("5.5.5.5:5", 1, record(["10.0.0.9"], 2)));
  bench.event(up(1, "5.5.5.5:5", 1));
  bench.event({ type: "closed", peer: 1, assoc: 49, reason: 0 });
  assert.equal(bench.core.peerAt("10.0.0.9")?.up, true);
  bench.event({ type: "closed", peer: 1, assoc: 50, reason: 0 });
  assert.equal(bench.core.peerAt("10.0.0.9")?.up, false);
});

test("a peer that said goodbye is dialled again only when a map 5 s later still shows it", () => {
  const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]]);
  bench.event(hello("5.5.5.5:5", 1, record(["10.0.0.9"], 2)));
  bench.event(up(1, "5.5.5.5:5", 1));
  bench.event({ type: "closed", peer: 1, assoc: 50, reason: 0 });
  assert.equal(bench.core.view({ now: 0, wall: 0 }).peers[0]?.state, "offline");
  bench.now = 4900;
  assert.deepEqual(dialled(bench.map([["10.0.0.9", "5.5.5.5:5"]])), []);
  assert.deepEqual(dialled(bench.runTo(9000)), []);
  assert.deepEqual(dialled(bench.map([["10.0.0.9", "5.5.5.5:5"]])), ["5.5.5.5:5"]);
});

test("a hello of another handshake is shown as refused, logged, and dialled again", () => {
  const bench = Bench.ready([["10.0.0.9", "5.5.5.5:5"]]);
  const failed = (tag: number): EngineEvent => ({
    type: "failed",
    assoc: 1,
    tag,
    endpoint: "5.5.5.5:5",
    reason: "signature",
  });
  const effects = bench.event(failed(1));
  assert.ok(of(effects, "log").some((log) => log.level === "warn" && log.fields.refusal === "signature"));
  const [peer] = bench.core.view({ now: bench.now, wall: 0 }).peers;
  assert.deepEqual([peer?.state, peer?.reason?.code], ["refused", "signature"]);
  assert.deepEqual(dialled(bench.runTo(1000)), ["5.5.5.5:5"]);
  // An incoming one is nobody's, but is told all the same.
  assert.ok(of(bench.event(failed(0)), "log").some((log) => log.fields.refusal === "signature"));
});

test("a wrong-psk hint is shown as refused, for incoming ones by endpoint, and never ends a session", () => {
  const bench = Bench.ready([
    ["10.0.0.20", "5.5.5.5:5"],
    ["10.0.0.30", "6.6.6.6:6"],
  ]);
  bench.event({ type: "wrong-psk", tag: 0, role: "server", endpoint: "5.5.5.5:5" });
  const peers = () => bench.core.view({ now: bench.now, wall: 0 }).peers;
  assert.deepEqual(
    peers().map((peer) => [peer.state, peer.reason?.code]),
    [
      ["refused", "wrong-psk"],
      ["connecting", undefined],
    ],
  );
  bench.event(hello("5.5.5.5:5", 0, record(["10.0.0.20"], 2)));
  bench.event(up(1, "5.5.5.5:5", 0));
  bench.event({ type: "wrong-psk", tag: 0, role: "server", endpoint: "5.5.5.5:5" });
  assert.equal(peers()[0]?.state, "up");
});

test("the server role asks for a rekey only when the client's side lets the limit pass", () => {
  const bench = Bench.ready([["10.0.0.20", "5.5.5.5:5"]]);
  bench.event(hello("5.5.5.5:5", 0, record(["10.0.0.20"], 2)));
  bench.event(up(1, "5.5.5.5:5", 0));
  assert.deepEqual(dialled(bench.event({ type: "rekey-due", peer: 1 })), []);
  const dials = dialled(bench.runTo(31_000));
  assert.deepEqual(dials, ["5.5.5.5:5"]);
});

test("private members of the map cannot make us send into subnets that are not ours", () => {
  const bench = new Bench();
  bench.give({ type: "interfaces", subnets: [{ address: "192.168.1.10", length: 24 }] });
  bench.give({ type: "start" });
  bench.give({ type: "resolved", server: "iex.example:9944", endpoints: [server] });
  const node = (virtualIp: string, address: string) => ({
    virtualIp,
    publicIp: "198.51.100.1:9",
    privateIp: { address, port: 53 },
  });
  const nodes = [
    { virtualIp: us, publicIp: ourEndpoint },
    node("10.0.0.20", "172.16.0.1"),
    node("10.0.0.30", "192.168.1.1"),
  ];
  const effects = bench.event({ type: "datagram", from: server, data: encodeMap(nodes, 0) });
  const targets = sentTo(effects);
  assert.ok(!targets.includes("172.16.0.1:53"));
  assert.ok(targets.includes("192.168.1.1:53"));
});

test("a hostile map cannot make more than a bounded number of handshakes at once", () => {
  const nodes: [string, string][] = [];
  for (let i = 0; i < 300; i++) nodes.push([`10.0.0.${i % 10}`, `5.5.${i >> 8}.${i & 255}:5`]);
  for (let i = 0; i < 500; i++) nodes.push([`10.0.${2 + (i >> 8)}.${i & 255}`, `5.6.${i >> 8}.${i & 255}:5`]);
  const bench = new Bench({ virtualIp: "10.0.255.1" });
  bench.give({ type: "start" });
  bench.give({ type: "resolved", server: "iex.example:9944", endpoints: [server] });
  const data = encodeMap(
    [
      { virtualIp: "10.0.255.1", publicIp: ourEndpoint },
      ...nodes.map(([virtualIp, publicIp]) => ({ virtualIp, publicIp })),
    ],
    0,
  );
  const first = bench.event({ type: "datagram", from: server, data });
  const running = dialled([...first, ...bench.runTo(5000)]).length;
  assert.ok(running >= 32 && running <= 96, `${running}`);
});
