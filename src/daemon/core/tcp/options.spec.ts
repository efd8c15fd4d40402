import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../../common/errors.js";
import { checkTcpOptions, splitListen, tcpLinkText } from "./options.js";

const rest = { tap: false, tls: false };

test("addresses to listen on come into canonical form", () => {
  for (const [text, canonical] of [
    ["55555", "55555"],
    ["00080", "80"],
    ["192.0.2.1:80", "192.0.2.1:80"],
    ["[2001:DB8:0::1]:80", "[2001:db8::1]:80"],
  ]) {
    assert.equal(checkTcpOptions({ role: "listen", address: text ?? "", ...rest }).address, canonical);
  }
  assert.deepEqual(splitListen("[2001:db8::1]:80"), { address: "2001:db8::1", port: 80 });
  assert.deepEqual(splitListen("192.0.2.1:80"), { address: "192.0.2.1", port: 80 });
  assert.deepEqual(splitListen("80"), { port: 80 });
});

test("addresses to connect to may be names", () => {
  const canonical = (address: string) => checkTcpOptions({ role: "connect", address, ...rest }).address;
  assert.equal(canonical("VPN.example.net:55555"), "vpn.example.net:55555");
  assert.equal(canonical("[2001:DB8::1]:1"), "[2001:db8::1]:1");
});

test("what is neither is refused with an example", () => {
  for (const [role, address] of [
    ["listen", ""],
    ["listen", "0"],
    ["listen", "65536"],
    ["listen", "host:1"],
    ["listen", "10.1:1"],
    ["listen", "2001:db8::1:80"],
    ["connect", "host"],
    ["connect", "host:0"],
    ["connect", "a b:1"],
    ["connect", "[::zz]:1"],
    ["connect", `${"x".repeat(300)}:1`],
  ] as const) {
    assert.throws(
      () => checkTcpOptions({ role, address, ...rest }),
      (error) => error instanceof VpnError && error.code === "usage" && error.hint !== undefined,
      `${role} ${address}`,
    );
  }
});

test("a link says what it does", () => {
  assert.equal(tcpLinkText({ role: "listen", address: "80", ...rest }), "listening on port 80");
  assert.equal(tcpLinkText({ role: "connect", address: "h:80", ...rest }), "connecting to h:80");
});
