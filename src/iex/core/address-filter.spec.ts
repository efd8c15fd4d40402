import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { addressFilter, type Prefix, parsePrefix } from "./address-filter.js";

function filter(...texts: string[]) {
  const prefixes = texts.map(parsePrefix).filter((prefix): prefix is Prefix => prefix !== undefined);
  assert.equal(prefixes.length, texts.length);
  return addressFilter(prefixes);
}

describe("address filter", () => {
  it("lets everybody in if it has no prefixes", () => {
    assert.ok(filter()("192.0.2.1"));
  });

  it("lets in who is in one of its prefixes", () => {
    const allowed = filter("10.0.0.0/8", "192.0.2.7", "2001:db8::/32");
    for (const address of ["10.255.0.1", "192.0.2.7", "2001:db8:ffff::1"])
      assert.ok(allowed(address), address);
    for (const address of ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1"])
      assert.ok(!allowed(address), address);
  });

  it("keeps families apart at /0", () => {
    assert.ok(!filter("0.0.0.0/0")("::1"));
    assert.ok(filter("::/0")("::1"));
  });

  it("refuses what is no prefix", () => {
    for (const text of [
      "",
      "/",
      "10.0.0.0/",
      "10.0.0.0/33",
      "10.0.0.0/8/8",
      "10/8",
      "::/129",
      "10.0.0.0/-1",
      "::ffff:10.0.0.0/104",
      "a/8",
    ])
      assert.equal(parsePrefix(text), undefined, text);
  });
});
