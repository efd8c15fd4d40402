import assert from "node:assert/strict";
import { test } from "node:test";
import { statusLine } from "./status-line.js";

const peer = (state: string) => ({ state });

test("without networks it says so", () => {
  assert.equal(statusLine([]), "no network joined");
});

test("it counts networks and the peers of running ones", () => {
  const line = statusLine([
    { state: "running", peers: [peer("up"), peer("connecting"), peer("up")] },
    { state: "error", peers: [] },
    { state: "down", peers: [] },
  ]);
  assert.equal(line, "1 of 3 networks up, 1 with an error, 2 of 3 peers up");
});

test("it speaks of one in the singular", () => {
  assert.equal(statusLine([{ state: "running", peers: [peer("up")] }]), "1 of 1 network up, 1 of 1 peer up");
});
