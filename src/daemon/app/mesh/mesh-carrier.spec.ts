import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { encodeMap } from "../../../common/badger/map.js";
import { VpnError } from "../../../common/errors.js";
import type { EngineEvent, EngineIdentity, MeshEngine } from "../../core/engine.js";
import type { EngineFilter } from "../../core/filter/engine-filter.js";
import { signingKey } from "../../core/keys/ed25519.js";
import { buildNodeRecord } from "../../core/keys/node-record.js";
import { networkKeys } from "../../core/keys/schedule.js";
import { type Learned, MeshCarrier, type MeshCarrierOptions } from "./mesh-carrier.js";

const server = "192.0.2.1:9944";
const psk = new Uint8Array(32).fill(5);
const secret = new Uint8Array(32).fill(9);

/** Notes commands; events are given by the test. */
class FakeEngine implements MeshEngine {
  onEvent: (event: EngineEvent) => void = () => {};
  readonly port = 4400;
  readonly calls: string[] = [];
  readonly tokens: bigint[] = [];
  stops = 0;
  start(): void {
    this.calls.push("start");
  }
  async stop(): Promise<void> {
    this.stops += 1;
  }
  send(to: string, data: Uint8Array): void {
    this.calls.push(`send ${to} ${data.length > 1 ? Buffer.from(data).toString() : "punch"}`);
  }
  connect(tag: number, to: string): void {
    this.calls.push(`connect ${tag} ${to}`);
  }
  abort(tag: number): void {
    this.calls.push(`abort ${tag}`);
  }
  admit(assoc: number, peer: number): void {
    this.calls.push(`admit ${assoc} ${peer}`);
    // As a fast peer would: the answer comes while the command is still being carried out.
    this.onEvent({
      type: "up",
      peer,
      assoc,
      tag: 1,
      role: "client",
      endpoint: "5.5.5.5:5",
      cipher: "AES-128-GCM",
      epoch: 1,
      foreign: false,
      rekey: false,
    });
  }
  refuse(assoc: number, reason: string): void {
    this.calls.push(`refuse ${assoc} ${reason}`);
  }
  setPeer(peer: number, prefixes: readonly string[]): void {
    this.calls.push(`set ${peer} ${prefixes.join()}`);
  }
  removePeer(peer: number): void {
    this.calls.push(`remove ${peer}`);
  }
  closePeer(): void {}
  sendControl(): void {}
  ping(_: number, token: bigint): void {
    this.tokens.push(token);
  }
  setIdentity(): void {}
  setFilter({ rules, allowOthers }: EngineFilter): void {
    this.calls.push(`filter ${rules.length} ${allowOthers}`);
  }
  peerCounters() {
    return { rxBytes: 1, txBytes: 2, rxPackets: 3, txPackets: 4, rttSeconds: 0.01 };
  }
  counters() {
    return { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} };
  }
  unknownDestinations() {
    return [];
  }
}

function make(change: Partial<MeshCarrierOptions> = {}) {
  const engine = new FakeEngine();
  const logged: string[] = [];
  let identity: EngineIdentity | undefined;
  let learned: Learned = {};
  const carrier = new MeshCarrier({
    network: "default",
    virtualIp: "10.0.0.10/16",
    iex: ["iex.example:9944"],
    psks: [{ id: 1, psk, since: 0 }],
    badger: false,
    nodeSeed: secret,
    nodeName: "alpha",
    engine: (given) => {
      identity = given;
      return engine;
    },
    onLearned: (next) => {
      learned = next;
    },
    log: pino({ level: "debug" }, { write: (line: string) => logged.push(line) }),
    world: { resolve: async () => [server], subnets: () => [{ address: "192.168.1.10", length: 24 }] },
    ...change,
  });
  return { carrier, engine, logged, learned: () => learned, identity: () => identity };
}

const never = () => new AbortController().signal;

/** Lets the resolver's promise come through. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

function map(...nodes: [string, string][]): EngineEvent {
  const all: [string, string][] = [["10.0.0.10", "198.51.100.1:4400"], ...nodes];
  const data = encodeMap(
    all.map(([virtualIp, publicIp]) => ({ virtualIp, publicIp })),
    0,
  );
  return { type: "datagram", from: server, data };
}

function peerHello(tag: number): EngineEvent {
  const keys = networkKeys(psk, false);
  const key = signingKey(new Uint8Array(32).fill(2));
  const draft = { virtualIps: ["10.0.0.9"], name: "beta", sequence: 1n, ttlSeconds: 60 };
  const record = buildNodeRecord(draft, key, keys, new Uint8Array(12));
  const nodeKey = key.publicKey;
  return {
    type: "hello",
    assoc: 7,
    tag,
    role: "client",
    endpoint: "5.5.5.5:5",
    nodeKey,
    record,
    capabilities: 0,
    epoch: 1,
  };
}

test("a filter is in the engine before it starts, and follows", async () => {
  const { carrier, engine } = make();
  carrier.setFilter({ rules: [], allowOthers: false });
  await carrier.start();
  assert.deepEqual(
    engine.calls.filter((call) => /^(filter|start)/.test(call)),
    ["filter 0 false", "start"],
  );
  carrier.setFilter({ rules: [], allowOthers: true });
  assert.equal(engine.calls.at(-1), "filter 0 true");
  await carrier.stop();
  carrier.setFilter({ rules: [], allowOthers: false });
  assert.equal(engine.calls.filter((call) => call.startsWith("filter")).length, 2);
});

test("a carrier is ready when a server confirms it, and shows and pings its peers", async (t) => {
  const { carrier, engine, learned, identity } = make();
  t.after(() => carrier.stop());
  let changes = 0;
  carrier.onChange = () => {
    changes += 1;
  };
  await carrier.start();
  await carrier.start();
  assert.equal(engine.calls.filter((call) => call === "start").length, 1);
  assert.equal(identity()?.epochs[0]?.networkId.length, 32);
  await settle();
  assert.ok(
    engine.calls.includes(`send ${server} {"VirtualIP":"10.0.0.10","PrivateIP":"192.168.1.10:4400"}`),
    engine.calls.join("\n"),
  );
  const ready = carrier.ready(never());
  engine.onEvent(map(["10.0.0.9", "5.5.5.5:5"]));
  await ready;
  await carrier.ready(never());
  assert.ok(engine.calls.includes("connect 1 5.5.5.5:5"));
  engine.onEvent(peerHello(1));
  const view = carrier.view();
  assert.equal(view.state, "up");
  assert.equal(view.publicEndpoint, "198.51.100.1:4400");
  const [peer] = view.peers;
  assert.equal(peer?.name, "beta");
  assert.equal(peer?.state, "up");
  assert.equal(peer?.rxBytes, 1);
  assert.equal(peer?.rttSeconds, 0.01);
  assert.ok(changes > 0);
  assert.equal(JSON.parse(JSON.stringify(learned())).pins[0].address, "10.0.0.9");

  const ping = carrier.ping("10.0.0.9", 5);
  engine.onEvent({ type: "pong", peer: 1, token: engine.tokens[0] ?? 0n, rttSeconds: 0.25 });
  assert.equal(await ping, 0.25);
  const late = await carrier.ping("10.0.0.9", 0.01).catch((error: unknown) => error);
  assert.ok(late instanceof VpnError && late.code === "no-reply");
  const nobody = await carrier.ping("10.0.0.77", 1).catch((error: unknown) => error);
  assert.ok(nobody instanceof VpnError && nobody.code === "not-found");

  assert.equal(await carrier.forgetPeer("10.0.0.9"), true);
  assert.equal(await carrier.forgetPeer("10.0.0.9"), false);
  assert.ok(engine.calls.includes("remove 1"));
  assert.deepEqual(learned().pins, []);
});

test("what was learned is used after a restart", async (t) => {
  const pins = [{ address: "10.0.0.9", nodeKey: "ee".repeat(32), since: 0, lastSeen: Date.now() }];
  const { carrier, engine } = make({
    learned: { pins, ownEndpoints: [{ endpoint: "198.51.100.1:9", seen: 1 }] },
  });
  t.after(() => carrier.stop());
  await carrier.start();
  await settle();
  // Our old entry is in the map too, and is no reason to wait.
  engine.onEvent(map(["10.0.0.10", "198.51.100.1:9"], ["10.0.0.9", "5.5.5.5:5"]));
  await carrier.ready(never());
  engine.onEvent(peerHello(1));
  assert.ok(engine.calls.includes("refuse 7 pinned"));
});

test("a virtual IP held by another rejects ready with who holds it and what to do", async (t) => {
  const { carrier, engine } = make({ badger: true });
  t.after(() => carrier.stop());
  await carrier.start();
  await settle();
  const ready = carrier.ready(never()).catch((error: unknown) => error);
  engine.onEvent(map(["10.0.0.10", "203.0.113.7:4400"]));
  engine.onEvent({
    type: "foreign",
    assoc: 3,
    tag: 1,
    role: "client",
    endpoint: "203.0.113.7:4400",
    epoch: 1,
  });
  const error = await ready;
  assert.ok(error instanceof VpnError);
  assert.equal(error.code, "conflict");
  assert.equal(error.message, "virtual IP 10.0.0.10 is held by 203.0.113.7:4400");
  assert.match(error.hint ?? "", /--vip/);
  assert.equal(carrier.view().state, "error");
});

test("ready ends with its signal and with the carrier", async () => {
  const { carrier } = make({ world: { resolve: async () => [], subnets: () => [] } });
  await carrier.start();
  const controller = new AbortController();
  const aborted = carrier.ready(controller.signal).catch((error: unknown) => error);
  controller.abort(new VpnError("no-reply", "no server answered"));
  const error = await aborted;
  assert.ok(error instanceof VpnError && error.code === "no-reply");
  const stopped = carrier.ready(never()).catch((thrown: unknown) => thrown);
  await carrier.stop();
  assert.ok((await stopped) instanceof VpnError);
});

test("stop is idempotent, ends the engine once and lets no event through", async () => {
  const { carrier, engine, logged } = make();
  await carrier.start();
  await settle();
  await Promise.all([carrier.stop(), carrier.stop()]);
  assert.equal(engine.stops, 1);
  const before = engine.calls.length;
  engine.onEvent(map(["10.0.0.9", "5.5.5.5:5"]));
  assert.equal(engine.calls.length, before);
  const text = logged.join("");
  for (const key of [psk, secret]) {
    assert.ok(!text.includes(Buffer.from(key).toString("hex")));
    assert.ok(!text.includes(Buffer.from(key).toString("base64")));
  }
});

test("a carrier that was never started can be looked at and stopped", async () => {
  const { carrier, engine } = make();
  assert.equal(carrier.view().state, "connecting");
  await carrier.stop();
  assert.equal(engine.stops, 0);
});
