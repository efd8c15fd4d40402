import assert from "node:assert/strict";
import { test } from "node:test";
import { protocolOf } from "./keys.js";

test("protocols are known by name and, on machines without /etc/protocols, by number", () => {
  for (const shown of ["udp", "ipproto-17", 17]) assert.equal(protocolOf(shown), "udp");
  for (const shown of ["tcp", "ipproto-6", 6]) assert.equal(protocolOf(shown), "tcp");
  for (const shown of ["icmp", "ipproto-1", "17", undefined]) assert.equal(protocolOf(shown), undefined);
});
