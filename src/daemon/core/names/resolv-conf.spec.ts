import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isStub, resolvConfText, serversOf } from "./resolv-conf.js";

describe("resolv.conf", () => {
  it("names servers", () => {
    const text =
      "# nameserver 9.9.9.9\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # x\nnameserver fe80::1%eth0\n" +
      "nameserver 192.0.2.1\nnameserver bogus\nsearch nameserver.example\nnameserver 300.1.1.1\n";
    assert.deepEqual(serversOf(text), ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]);
    assert.deepEqual(serversOf(""), []);
    assert.ok(isStub("127.0.0.53"));
    assert.ok(!isStub("127.0.0.1"));
  });

  it("is written so that it is read the same", () => {
    assert.deepEqual(serversOf(resolvConfText(["10.9.0.1", "fd00::1"], "home")), ["10.9.0.1", "fd00::1"]);
  });
});
