import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultDevices4, defaultDevices6 } from "./uplinks.js";

test("devices of IPv4 default routes, those that refuse left out", () => {
  const text = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
*\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0
half\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
  assert.deepEqual(defaultDevices4(text), ["eth0", "wlan0"]);
  assert.deepEqual(defaultDevices4(""), []);
});

test("devices of IPv6 default routes, those that refuse left out", () => {
  const zeros = "0".repeat(32);
  const gateway = "fe800000000000000000000000000001";
  const text = [
    `${zeros} 00 ${zeros} 00 ${gateway} 00000400 00000001 00000000 00000003 eth0`,
    `${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200 lo`,
    `20010db8${"0".repeat(24)} 40 ${zeros} 00 ${zeros} 00000100 00000001 00000000 00000001 eth1`,
    `${zeros} 01 ${zeros} 00 ${zeros} 00000100 00000001 00000000 00000001 half`,
  ].join("\n");
  assert.deepEqual(defaultDevices6(text), ["eth0"]);
});
