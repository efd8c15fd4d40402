import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VpnError } from "../../../common/errors.js";
import { overlaps, parseCidr, parseVirtualIp } from "./cidr.js";

const cidr = (text: string) => parseCidr(text) ?? assert.fail(`${text} should parse`);

test("a CIDR is brought into canonical form", () => {
  assert.equal(cidr("10.1.2.3/16").prefix, "10.1.0.0/16");
  assert.equal(cidr("FD00:0:0:0::1/64").text, "fd00::1/64");
  assert.equal(cidr("fd00:1:2:3::9/60").prefix, "fd00:1:2::/60");
  assert.equal(cidr("10.0.0.1/0").prefix, "0.0.0.0/0");
});

test("what is no CIDR is refused", () => {
  for (const text of [
    "",
    "10.0.0.1",
    "10.0.0/8",
    "10.0.0.1/33",
    "0x0a000001/8",
    "010.0.0.1/8",
    "fd00::1/129",
    "a/1",
    "10.0.0.1/-1",
    "10.0.0.1/16 ",
  ]) {
    assert.equal(parseCidr(text), undefined, text);
  }
});

test("prefixes overlap when one holds the other", () => {
  assert.ok(overlaps(cidr("10.0.0.10/16"), cidr("10.0.9.0/24")));
  assert.ok(overlaps(cidr("10.0.9.1/32"), cidr("10.0.0.0/8")));
  assert.ok(!overlaps(cidr("10.0.0.0/16"), cidr("10.1.0.0/16")));
  assert.ok(!overlaps(cidr("10.0.0.0/8"), cidr("fd00::/8")));
  assert.ok(overlaps(cidr("fd00:0:0:1::1/64"), cidr("fd00::/48")));
});

test("overlap is symmetric, and every prefix overlaps itself", () => {
  const any = fc
    .tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }))
    .map(([address, length]) => cidr(`${address}/${length}`));
  fc.assert(
    fc.property(
      any,
      any,
      (a, b) => overlaps(a, b) === overlaps(b, a) && overlaps(a, a) && overlaps(a, cidr(a.prefix)),
    ),
  );
});

test("a virtual IP must be usable as a host's address", () => {
  for (const good of ["10.0.0.10/16", "10.0.0.0/31", "fd00::1/64", "192.168.1.1/30"])
    assert.ok(parseVirtualIp(good));
  const bad: [string, RegExp][] = [
    ["10.0.0.10", /no prefix length/],
    ["ten/8", /no address/],
    ["10.0.0.0/16", /network's own/],
    ["10.0.255.255/16", /broadcast/],
    ["10.0.0.1/32", /no room/],
    ["10.0.0.1/7", /too wide/],
    ["127.0.0.2/8", /not usable/],
    ["224.0.0.1/8", /not usable/],
    ["fe80::1/64", /not usable/],
    ["::1/64", /not usable/],
  ];
  for (const [text, why] of bad) {
    assert.throws(
      () => parseVirtualIp(text),
      (error) => error instanceof VpnError && error.code === "usage" && why.test(error.message),
      text,
    );
  }
});
