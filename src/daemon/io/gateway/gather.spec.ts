import assert from "node:assert/strict";
import { test } from "node:test";
import { fanqiangCodec } from "../../../common/gateway/fanqiang.js";
import { Gather } from "./gather.js";

test("what came in one piece goes on in one piece, and control messages in their place", async () => {
  const seen: string[] = [];
  const gather = new Gather({
    onItems: (items, data, ends) =>
      seen.push(`${items} ${Buffer.from(data).toString("hex")} ${[...ends].join()}`),
    onControl: (message) => seen.push(`control ${Buffer.from(message).toString("hex")}`),
  });
  const codec = fanqiangCodec({ end: "gateway", padding: false });
  for (const hex of ["8001aa", "8002bbcc0000", "80", "8001dd"]) codec.decode(Buffer.from(hex, "hex"), gather);
  assert.deepEqual(seen, [], "not yet");
  await Promise.resolve();
  assert.deepEqual(seen, ["packets aabbccdd 1,3,3,4"], "what is no packet has its place, to be counted");
  seen.length = 0;
  gather.onItems("packets", Buffer.of(1), Uint32Array.of(1));
  gather.onControl(Buffer.of(2));
  gather.onItems("supers", Buffer.of(3, 4), Uint32Array.of(1, 2));
  gather.onItems("packets", Buffer.of(5), Uint32Array.of(1));
  await Promise.resolve();
  assert.deepEqual(seen, ["packets 01 1", "control 02", "supers 0304 1,2", "packets 05 1"]);
});
