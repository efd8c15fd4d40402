import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Cidr, parseCidr } from "../network/cidr.js";
import { addressOf, isWithin, parseReverse, reverseZones, zoneOf } from "./reverse.js";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed);
  return parsed;
}

const six = `1.${"0.".repeat(23)}7.0.0.0.0.0.d.f.ip6.arpa`;

describe("reverse names", () => {
  it("reads addresses and parts of them", () => {
    assert.deepEqual(parseReverse("1.0.9.10.in-addr.arpa"), { family: 4, digits: [10, 9, 0, 1] });
    assert.deepEqual(parseReverse("10.in-addr.arpa"), { family: 4, digits: [10] });
    for (const none of [
      "arpa",
      "256.9.10.in-addr.arpa",
      "01.0.9.10.in-addr.arpa",
      "x.1.0.9.10.in-addr.arpa",
      "1.1.0.9.10.in-addr.arpa",
      "10.ip6.arpa",
      "1.0.9.10.in-addr.vpn",
    ])
      assert.equal(parseReverse(none), undefined, none);
  });

  it("finds the address only of a whole name", () => {
    const read = (name: string) => {
      const reverse = parseReverse(name);
      assert.ok(reverse);
      return addressOf(reverse);
    };
    assert.equal(read("1.0.9.10.in-addr.arpa"), "10.9.0.1");
    assert.equal(read("0.9.10.in-addr.arpa"), undefined);
    assert.equal(read(six), "fd00:0007:0000:0000:0000:0000:0000:0001");
    assert.equal(read("d.f.ip6.arpa"), undefined);
  });

  it("tells what is in a prefix, also between two labels", () => {
    const within = (name: string, prefix: string) => {
      const reverse = parseReverse(name);
      assert.ok(reverse);
      return isWithin(reverse, cidr(prefix));
    };
    assert.ok(within("1.0.9.10.in-addr.arpa", "10.9.0.0/24"));
    assert.ok(within("0.9.10.in-addr.arpa", "10.9.0.0/24"));
    assert.ok(!within("9.10.in-addr.arpa", "10.9.0.0/24"));
    assert.ok(!within("1.1.9.10.in-addr.arpa", "10.9.0.0/24"));
    assert.ok(within("1.31.9.10.in-addr.arpa", "10.9.16.0/20"));
    assert.ok(!within("1.32.9.10.in-addr.arpa", "10.9.16.0/20"));
    assert.ok(within(six, "fd00:7::/64"));
    assert.ok(!within(six, "fd00:8::/64"));
    assert.ok(!within(six, "10.9.0.0/24"));
  });

  it("names the zones of a prefix", () => {
    assert.deepEqual(reverseZones(cidr("10.9.0.1/16")), ["9.10.in-addr.arpa"]);
    assert.deepEqual(reverseZones(cidr("10.9.17.1/23")), ["16.9.10.in-addr.arpa", "17.9.10.in-addr.arpa"]);
    assert.equal(reverseZones(cidr("10.9.16.1/20")).length, 16);
    assert.deepEqual(reverseZones(cidr("10.9.16.1/19")), [], "too many");
    assert.deepEqual(reverseZones(cidr("fd00:7::1/16")), ["0.0.d.f.ip6.arpa"]);
    assert.deepEqual(reverseZones(cidr("fd00:7::1/15")), ["0.0.d.f.ip6.arpa", "1.0.d.f.ip6.arpa"]);
    const reverse = parseReverse("1.31.9.10.in-addr.arpa");
    assert.ok(reverse);
    assert.equal(zoneOf(reverse, cidr("10.9.16.0/20")), "31.9.10.in-addr.arpa");
  });
});
