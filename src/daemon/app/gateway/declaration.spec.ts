import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeclaredGateway } from "../../core/config/gateway-section.js";
import { type AskedGateway, checkGatewayOptions } from "../../core/gateway/options.js";
import { Declaration } from "./declaration.js";

const nothingAsked: AskedGateway = {
  ...{ listen: "", path: "", open: false, subnets: [], mtu: 0, maxClients: 0, keepSeconds: undefined },
  ...{ allow: [], allowHost: false, allowClients: false, dns: [], fanqiang: false, padding: false },
  ...{ workers: 0, into: "", noInternet: false, anySource: false, isolation: "" },
};
const asked = (path: string): AskedGateway => ({ ...nothingAsked, path });
const options = (path: string) => checkGatewayOptions(asked(path));
const declared = (path: string, up = true): DeclaredGateway => ({
  options: options(path),
  up,
  origin: { file: "f", line: 3 },
});

test("what runs otherwise, or not at all, is made as it is declared", () => {
  const wanted = declared("/a");
  assert.deepEqual(new Declaration().follow(wanted, undefined, false), { do: "restart", wanted, up: true });
  assert.deepEqual(new Declaration().follow(wanted, options("/b"), false), {
    do: "restart",
    wanted,
    up: true,
  });
  assert.deepEqual(new Declaration().follow(wanted, options("/a"), false), { do: "keep", wanted });
  const down = declared("/a", false);
  assert.deepEqual(new Declaration().follow(down, undefined, false), {
    do: "restart",
    wanted: down,
    up: false,
  });
});

test("a stop by hand holds until the section says something new", () => {
  const declaration = new Declaration();
  declaration.follow(declared("/a"), undefined, false);
  assert.deepEqual(declaration.follow(declared("/a"), undefined, false), { do: "nothing" });
  const other = declared("/b");
  assert.deepEqual(declaration.follow(other, undefined, false), { do: "restart", wanted: other, up: false });
  declaration.follow(declared("/b", false), undefined, false);
  assert.deepEqual(declaration.follow(other, undefined, false), { do: "restart", wanted: other, up: true });
});

test("without its section it stops, and one that was never declared is left alone", () => {
  const declaration = new Declaration();
  assert.deepEqual(declaration.follow(undefined, options("/a"), true), { do: "nothing" });
  declaration.follow(declared("/a"), undefined, false);
  assert.deepEqual(declaration.follow(undefined, options("/a"), false), { do: "stop" });
  assert.deepEqual(declaration.follow(undefined, undefined, false), { do: "nothing" });
});

test("another certificate is a reason to start anew", () => {
  const declaration = new Declaration();
  declaration.follow(declared("/a"), undefined, false);
  assert.equal(declaration.follow(declared("/a"), options("/a"), true).do, "restart");
});

test("a start by hand is as declared, or refused", () => {
  const declaration = new Declaration();
  assert.deepEqual(declaration.optionsOf(nothingAsked), options("/"));
  assert.deepEqual(declaration.notes, []);
  declaration.follow(declared("/a"), undefined, false);
  assert.deepEqual(declaration.optionsOf(nothingAsked), options("/a"));
  assert.deepEqual(declaration.optionsOf(asked("/a")), options("/a"));
  assert.throws(() => declaration.optionsOf(asked("/b")), /declared in f:3, and can only be changed there/);
  assert.match(declaration.notes.join(), /f:3: it comes back/);
});
