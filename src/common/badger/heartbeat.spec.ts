import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeHeartbeat, encodeHeartbeat } from "./heartbeat.js";

const decode = (text: string) => decodeHeartbeat(Buffer.from(text));
const malformed = { ok: false, reason: "malformed" };

describe("heartbeat", () => {
  it("reads the paper's sample, with a private address that has no port", () => {
    assert.deepEqual(decode('{\n  "VirtualIP": "10.0.0.10",\n  "PrivateIP": "192.168.10.100"\n}\n'), {
      ok: true,
      value: { virtualIp: "10.0.0.10", privateIp: { address: "192.168.10.100" } },
    });
  });

  it("reads a private endpoint, the misspelt key, IPv6, and ignores what it does not know", () => {
    assert.deepEqual(decode('{"VirutalIP":"10.0.0.10","PrivateIP":"192.168.10.100:3000","x":[{}]}'), {
      ok: true,
      value: { virtualIp: "10.0.0.10", privateIp: { address: "192.168.10.100", port: 3000 } },
    });
    assert.deepEqual(decode('{"VirtualIP":"FD00:0::1","PrivateIP":"[::ffff:10.1.1.1]:5"}'), {
      ok: true,
      value: { virtualIp: "fd00::1", privateIp: { address: "10.1.1.1", port: 5 } },
    });
  });

  it("takes an absent, empty or port-0 private address for unknown", () => {
    const bare = { ok: true, value: { virtualIp: "10.0.0.1" } };
    assert.deepEqual(decode('{"VirtualIP":"10.0.0.1"}'), bare);
    assert.deepEqual(decode('{"VirtualIP":"10.0.0.1","PrivateIP":""}'), bare);
    assert.deepEqual(decode('{"VirtualIP":"10.0.0.1","PrivateIP":null}'), bare);
    assert.deepEqual(decode('{"VirtualIP":"10.0.0.1","PrivateIP":"10.1.1.1:0"}'), {
      ok: true,
      value: { virtualIp: "10.0.0.1", privateIp: { address: "10.1.1.1" } },
    });
  });

  it("refuses what no node would say", () => {
    const bad = [
      "",
      "{",
      "[]",
      "null",
      "{}",
      ' {"VirtualIP":"10.0.0.1"}',
      '{"VirtualIP":"10.0.0.1"}x',
      '{"VirtualIP":1}',
      '{"VirtualIP":["10.0.0.1"]}',
      '{"VirtualIP":"10.0.0.1/16"}',
      '{"VirtualIP":"10.1"}',
      '{"VirtualIP":"0.0.0.0"}',
      '{"VirtualIP":"127.0.0.1"}',
      '{"VirtualIP":"ff02::1"}',
      '{"VirtualIP":"10.0.0.1","PrivateIP":7}',
      '{"VirtualIP":"10.0.0.1","PrivateIP":"host:1"}',
      '{"VirtualIP":"10.0.0.1","PrivateIP":"10.0.0.1:99999"}',
      '{"VirtualIP":"10.0.0.1","PrivateIP":"224.0.0.1:5"}',
      '{"__proto__":{"VirtualIP":"10.0.0.1"}}',
      "[".repeat(1000),
      `{"a":${"[".repeat(1000)}`,
    ];
    for (const text of bad) assert.deepEqual(decode(text), malformed, text);
    assert.deepEqual(decodeHeartbeat(Buffer.from([0x7b, 0xff, 0x7d])), malformed);
  });

  it("refuses more than a kilobyte unread", () => {
    const padded = (length: number) => `{"VirtualIP":"10.0.0.1"${" ".repeat(length - 25)} }`;
    assert.equal(padded(1024).length, 1024);
    assert.equal(decode(padded(1024)).ok, true);
    assert.deepEqual(decode(padded(1025)), { ok: false, reason: "oversize" });
  });

  it("reads back what it writes", () => {
    const address = fc.oneof(fc.constantFrom("10.0.0.1", "192.168.1.2", "fd00::1", "2001:db8::5"));
    const port = fc.integer({ min: 1, max: 65535 });
    fc.assert(
      fc.property(address, fc.option(address), fc.option(port), (virtualIp, inside, at) => {
        const heartbeat = {
          virtualIp,
          ...(inside === null
            ? {}
            : { privateIp: { address: inside, ...(at === null ? {} : { port: at }) } }),
        };
        assert.deepEqual(decodeHeartbeat(encodeHeartbeat(heartbeat)), { ok: true, value: heartbeat });
      }),
    );
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 1200 }), (data) => void decodeHeartbeat(data)));
    const value = fc.oneof(fc.jsonValue(), fc.ipV4(), fc.ipV6(), fc.string());
    fc.assert(
      fc.property(
        value,
        value,
        (vip, inside) => void decode(JSON.stringify({ VirtualIP: vip, PrivateIP: inside })),
      ),
    );
  });
});
