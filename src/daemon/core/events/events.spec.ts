import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatEvent, type NetworkEvent, parseEvent } from "./event.js";
import { EventRing } from "./event-ring.js";
import { lostTexts, NetworkStory, type StoryState } from "./network-story.js";
import { type PeerSnapshot, peerEvents } from "./peer-events.js";

const up: PeerSnapshot = {
  virtualIp: "10.0.0.2",
  name: "nas",
  state: "up",
  path: "direct",
  endpoint: "192.0.2.1:1",
  nodeKey: "aa",
};
const lost = { code: "timeout", message: "the peer stopped answering" };

/** The events between two moments of a peer, in short. */
function between(before: PeerSnapshot, now: PeerSnapshot): string[] {
  return peerEvents(before, now).map(({ type, peer, reason, state }) =>
    [type, peer?.virtualIp, state, reason?.code].filter(Boolean).join(" "),
  );
}

test("a peer's loss, its end, and its return", () => {
  const silent: PeerSnapshot = { ...up, state: "connecting", path: "none", reason: lost };
  const offline = { code: "offline", message: "" };
  const gone: PeerSnapshot = { ...up, state: "offline", path: "none", reason: offline };
  assert.deepEqual(between(up, silent), ["down 10.0.0.2 connecting timeout"]);
  assert.deepEqual(between(silent, gone), ["down 10.0.0.2 offline offline"]);
  assert.deepEqual(between(gone, up), ["up 10.0.0.2 up"]);
  assert.deepEqual(between(up, up), []);
});

test("trouble with a peer is told when its reason changes", () => {
  const wrong: PeerSnapshot = {
    ...up,
    state: "refused",
    path: "none",
    reason: { code: "wrong-psk", message: "" },
  };
  const { reason: _, ...dialled } = { ...wrong, state: "connecting" } as const;
  assert.deepEqual(between(dialled, wrong), ["error 10.0.0.2 refused wrong-psk"]);
  assert.deepEqual(between(wrong, wrong), []);
  assert.deepEqual(between(wrong, dialled), []);
});

test("another path and another key are told", () => {
  assert.deepEqual(between(up, { ...up, endpoint: "192.0.2.1:2" }), ["path 10.0.0.2 up"]);
  assert.deepEqual(between(up, { ...up, path: "relay" }), ["path 10.0.0.2 up"]);
  assert.deepEqual(between(up, { ...up, nodeKey: "bb" }), ["key 10.0.0.2 up"]);
});

test("a network's story tells each change once", () => {
  const story = new NetworkStory(lostTexts.mesh);
  const became = (state: StoryState, code?: string) => {
    const event = story.became(state, code === undefined ? undefined : { code, message: "" });
    return event && `${event.type} ${event.state} ${event.reason?.code ?? ""}`.trim();
  };
  assert.equal(became("down"), undefined);
  assert.equal(became("connecting"), undefined);
  assert.equal(became("up"), "up up");
  assert.equal(became("up"), undefined);
  assert.equal(became("connecting", "timeout"), "down connecting timeout");
  assert.equal(became("connecting", "timeout"), undefined);
  assert.equal(became("up"), "up up");
  assert.equal(became("error", "conflict"), "error error conflict");
  assert.equal(became("error", "conflict"), undefined);
  assert.equal(became("error", "failed"), "error error failed");
  assert.equal(became("down"), "down down");
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
    repeats: 3,
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
