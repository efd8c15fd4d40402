import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { addressKind, canonicalAddress, formatEndpoint, parseEndpoint } from "./endpoint.js";

describe("canonical addresses", () => {
  it("gives one text to one address", () => {
    assert.equal(canonicalAddress("10.0.0.1"), "10.0.0.1");
    assert.equal(canonicalAddress("2001:DB8:0:0:0:0:0:1"), "2001:db8::1");
    assert.equal(canonicalAddress("::ffff:192.0.2.7"), "192.0.2.7");
    assert.equal(canonicalAddress("::ffff:c000:207"), "192.0.2.7");
  });

  it("refuses what is not exactly an address", () => {
    for (const text of [
      "",
      "10.1",
      "010.0.0.1",
      "0x0a.0.0.1",
      "10.0.0.1 ",
      "fe80::1%eth0",
      "localhost",
      ":".repeat(100),
    ])
      assert.equal(canonicalAddress(text), undefined, text);
  });

  it("knows which addresses cannot be a node's", () => {
    for (const text of ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"])
      assert.equal(addressKind(text), "none", text);
    assert.equal(addressKind("127.0.0.1"), "loopback");
    assert.equal(addressKind("::1"), "loopback");
    assert.equal(addressKind("10.0.0.1"), "node");
    assert.equal(addressKind("fd00::1"), "node");
  });
});

describe("endpoints", () => {
  it("parses both families and unmaps", () => {
    assert.deepEqual(parseEndpoint("192.0.2.1:9944"), { address: "192.0.2.1", port: 9944, family: 4 });
    assert.deepEqual(parseEndpoint("[2001:DB8::1]:1"), { address: "2001:db8::1", port: 1, family: 6 });
    assert.deepEqual(parseEndpoint("[::ffff:192.0.2.1]:80"), { address: "192.0.2.1", port: 80, family: 4 });
  });

  it("refuses anything else", () => {
    const bad = [
      "",
      ":1",
      "1.2.3.4",
      "1.2.3.4:",
      "1.2.3.4:65536",
      "1.2.3.4:-1",
      "::1:80",
      "[::1]",
      "[1.2.3.4]:5",
      "a:1",
      "1.2.3.4:1 ",
    ];
    for (const text of bad) assert.equal(parseEndpoint(text), undefined, text);
  });

  it("formats what it parses, and parses what it formats", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65535 }), (address, port) => {
        const text = formatEndpoint(address, port);
        const parsed = parseEndpoint(text);
        assert.ok(parsed);
        assert.equal(parsed.port, port);
        assert.equal(formatEndpoint(parsed.address, parsed.port), text);
      }),
    );
  });

  it("survives any text", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseEndpoint(text)));
  });
});
