import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VpnError } from "../../common/errors.js";
import { parseDevice, parseMtu, parsePort, parseServers, parseVirtualIp } from "./join-options.js";

test("servers get the default port", () => {
  assert.deepEqual(parseServers("a.example:1,[2001:db8::1],192.0.2.1"), [
    "a.example:1",
    "[2001:db8::1]:9944",
    "192.0.2.1:9944",
  ]);
});

test("virtual IPs are made canonical", () => {
  assert.equal(parseVirtualIp("10.0.0.10/16"), "10.0.0.10/16");
  assert.equal(parseVirtualIp("FD00:0:0::1/64"), "fd00::1/64");
});

test("numbers and names in bounds are taken", () => {
  assert.equal(parseMtu("auto"), 0);
  assert.equal(parseMtu("1400"), 1400);
  assert.equal(parsePort("0"), 0);
  assert.equal(parseDevice("vpn-home"), "vpn-home");
});

const refused: [(text: string) => unknown, string[]][] = [
  [parseServers, ["", "a:0", "a:65536", "a,", "::1", "user@host", "a:1:2", "http://a"]],
  [
    parseVirtualIp,
    ["auto", "10.0.0.1", "10.0.0.1/0", "10.0.0.1/33", "10.0.0/8", "127.0.0.1/8", "0.0.0.0/8", "a/8"],
  ],
  [parseMtu, ["575", "65536", "-1", "1e3", ""]],
  [parsePort, ["65536", "x"]],
  [parseDevice, ["", "a/b", "a b", "..", "x".repeat(16), "a:1"]],
];

test("everything else is a usage error with a hint", () => {
  for (const [parse, texts] of refused)
    for (const text of texts)
      assert.throws(
        () => parse(text),
        (error) => error instanceof VpnError && error.code === "usage" && error.hint !== undefined,
        `${parse.name} ${text}`,
      );
});

test("no text makes a parser fail in another way", () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(...refused.map(([parse]) => parse)), (text, parse) => {
      try {
        parse(text);
      } catch (error) {
        assert(error instanceof VpnError);
      }
    }),
  );
});
