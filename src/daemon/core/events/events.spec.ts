import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatEvent, type NetworkEvent, parseEvent } from "./event.js";
import { EventRing } from "./event-ring.js";
import { EventTracker, type NetworkSnapshot, type PeerSnapshot } from "./tracker.js";

const up: PeerSnapshot = {
  virtualIp: "10.0.0.2",
  name: "nas",
  state: "up",
  path: "direct",
  endpoint: "192.0.2.1:1",
  nodeKey: "aa",
};
const home: NetworkSnapshot = { name: "home", state: "up", fingerprint: "f", peers: [up] };
const lost = { code: "timeout", message: "the peer stopped answering" };

/** The events of the last of these looks, in short. */
function after(...looks: NetworkSnapshot[][]): string[] {
  const tracker = new EventTracker();
  const events = looks.map((networks, index) => tracker.compare(networks, index));
  return (events.at(-1) ?? []).map(({ type, peer, reason, state }) =>
    [type, peer?.virtualIp ?? "network", state, reason?.code].filter(Boolean).join(" "),
  );
}

test("what is there at the first look comes up", () => {
  assert.deepEqual(after([home]), ["up network up", "up 10.0.0.2 up"]);
  assert.deepEqual(after([home], [home]), []);
});

test("a network that goes down takes its peers with it", () => {
  assert.deepEqual(after([home], [{ ...home, state: "down", peers: [] }]), [
    "down network down",
    "down 10.0.0.2 offline network-down",
  ]);
  assert.deepEqual(after([home], []), ["down network left left"]);
});

test("silent servers are told, and tunnels go on", () => {
  const silent = { ...home, state: "connecting", reason: { code: "timeout", message: "no answer" } };
  assert.deepEqual(after([home], [silent]), ["down network connecting timeout"]);
  assert.deepEqual(after([{ ...home, state: "down", peers: [] }], [{ ...silent, peers: [] }]), []);
});

test("a network in error is told once for each reason", () => {
  const broken = { ...home, state: "error", peers: [], reason: { code: "conflict", message: "held" } };
  assert.deepEqual(after([broken]), ["error network error conflict"]);
  assert.deepEqual(after([broken], [broken]), []);
  const otherwise = { ...broken, reason: { code: "failed", message: "no device" } };
  assert.deepEqual(after([broken], [otherwise]), ["error network error failed"]);
});

test("a peer's loss, its end, and its return", () => {
  const silent = { ...up, state: "connecting", path: "none", reason: lost } as const;
  const gone = { ...up, state: "offline", path: "none", reason: { code: "offline", message: "" } } as const;
  const look = (peer: PeerSnapshot): NetworkSnapshot[] => [{ ...home, peers: [peer] }];
  assert.deepEqual(after(look(up), look(silent)), ["down 10.0.0.2 connecting timeout"]);
  assert.deepEqual(after(look(silent), look(gone)), ["down 10.0.0.2 offline offline"]);
  assert.deepEqual(after(look(gone), look(up)), ["up 10.0.0.2 up"]);
  assert.deepEqual(after(look(up), [{ ...home, peers: [] }]), ["down 10.0.0.2 offline removed"]);
});

test("trouble with a peer is told when its reason changes", () => {
  const refused = {
    ...up,
    state: "refused",
    path: "none",
    reason: { code: "wrong-psk", message: "" },
  } as const;
  const look = (peer: PeerSnapshot): NetworkSnapshot[] => [{ ...home, peers: [peer] }];
  assert.deepEqual(after(look(refused)), ["up network up", "error 10.0.0.2 refused wrong-psk"]);
  assert.deepEqual(after(look(refused), look(refused)), []);
});

test("another path and another key are told", () => {
  const look = (peer: PeerSnapshot): NetworkSnapshot[] => [{ ...home, peers: [peer] }];
  assert.deepEqual(after(look(up), look({ ...up, endpoint: "192.0.2.1:2" })), ["path 10.0.0.2 up"]);
  assert.deepEqual(after(look(up), look({ ...up, path: "relay" })), ["path 10.0.0.2 up"]);
  assert.deepEqual(after(look(up), look({ ...up, nodeKey: "bb" })), ["key 10.0.0.2 up"]);
  assert.deepEqual(after([home], [{ ...home, fingerprint: "g" }]), ["key network up"]);
});

test("an event survives its file", () => {
  const event: NetworkEvent = {
    at: 5,
    type: "path",
    network: "home",
    peer: { virtualIp: "10.0.0.2", name: "line\nbreak" },
    state: "up",
    reason: lost,
    path: "direct",
    endpoint: "e",
    message: "m",
  };
  const line = formatEvent(event);
  assert.equal(line.indexOf("\n"), line.length - 1);
  assert.deepEqual(parseEvent(line), event);
});

test("any line is an event or none, and no event is long", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      const event = parseEvent(line);
      if (event !== undefined) assert.deepEqual(parseEvent(formatEvent(event))?.type, event.type);
    }),
  );
  for (const line of ["{", "[]", "null", '{"at":-1,"type":"up","network":"a","message":""}', '{"at":1e300}'])
    assert.equal(parseEvent(line), undefined, line);
  const long = formatEvent({ at: 1, type: "up", network: "a", message: "x".repeat(10_000) });
  assert.ok(long.length < 500);
});

test("the ring keeps the newest, and selects", () => {
  const ring = new EventRing(8);
  for (let at = 0; at < 100; at++)
    ring.add({ at, type: "up", network: at % 2 === 0 ? "even" : "odd", message: "" });
  const all = ring.select({ network: "", limit: 0 });
  assert.ok(all.length >= 8 && all.length <= 10);
  assert.equal(all.at(-1)?.at, 99);
  assert.deepEqual(
    ring.select({ network: "even", limit: 2 }).map(({ at }) => at),
    [96, 98],
  );
  assert.deepEqual(
    ring.select({ network: "", since: 98, limit: 0 }).map(({ at }) => at),
    [98, 99],
  );
});
