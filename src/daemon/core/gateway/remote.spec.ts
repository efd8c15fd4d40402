import assert from "node:assert/strict";
import { test } from "node:test";
import { remoteOf } from "./remote.js";

test("a connection comes from its other end, or from whom a proxy on this machine names", () => {
  for (const [address, forwarded, shown] of [
    ["192.0.2.1", "", "192.0.2.1:7"],
    ["::ffff:192.0.2.1", "", "192.0.2.1:7"],
    ["fe80::1%eth0", "", "[fe80::1]:7"],
    ["192.0.2.1", "198.51.100.9", "192.0.2.1:7"],
    ["127.0.0.1", "6.6.6.6, 198.51.100.9", "198.51.100.9"],
    ["::1", "2001:DB8::0:1", "2001:db8::1"],
    ["127.0.0.1", "nonsense\u001b[2J", "127.0.0.1:7"],
    ["127.0.0.1", "fe80::1%eth0", "127.0.0.1:7"],
  ] as const)
    assert.equal(remoteOf(address, 7, forwarded), shown);
});
