import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../../common/errors.js";
import { checkJoinOptions, differences, type JoinOptions, makeConfig } from "./config.js";

const good: JoinOptions = {
  network: "office",
  iex: ["iex.example.net:9944"],
  virtualIp: "10.0.0.10/16",
  badger: false,
  listenPort: 0,
  device: "",
  mtu: 0,
  nodeName: "",
};

test("what is left out is filled in", () => {
  const config = makeConfig(checkJoinOptions({ ...good, network: "" }), "Alpha.example.net", 5);
  assert.equal(config.name, "default");
  assert.equal(config.device, "vpn-default");
  assert.equal(config.mtu, 1400);
  assert.equal(config.nodeName, "alpha");
});

test("a long label gives a device name that the kernel takes", () => {
  const config = makeConfig(checkJoinOptions({ ...good, network: "a-very-long-network-label" }), "h", 0);
  assert.equal(config.device, "vpn-a-very-long");
  assert.equal(config.device.length, 15);
});

test("a host name of whatever form gives a node name", () => {
  for (const [host, name] of [
    ["", "node"],
    ["-.-", "node"],
    ["My_Host", "my-host"],
    ["x".repeat(80), "x".repeat(63)],
  ]) {
    assert.equal(makeConfig(good, host ?? "", 0).nodeName, name);
  }
});

test("bad options are refused with a hint", () => {
  const bad: Partial<JoinOptions>[] = [
    { network: "Office" },
    { network: "../x" },
    { network: "x".repeat(33) },
    { virtualIp: "" },
    { virtualIp: "10.0.0.10" },
    { iex: [] },
    { iex: ["nowhere"] },
    { iex: ["host:0"] },
    { iex: ["host:65536"] },
    { iex: ["a b:1"] },
    { iex: Array.from({ length: 17 }, (_, index) => `h${index}:1`) },
    { mtu: 575 },
    { mtu: 65_536 },
    { virtualIp: "fd00::1/64", mtu: 1279 },
    { listenPort: 65_536 },
    { device: "a".repeat(16) },
    { device: "../tun" },
    { device: "a b" },
    { device: "-x" },
    { nodeName: "-a" },
    { nodeName: "a.b" },
    { nodeName: "x".repeat(64) },
  ];
  for (const part of bad) {
    assert.throws(
      () => checkJoinOptions({ ...good, ...part }),
      (error) => error instanceof VpnError && error.code === "usage" && error.hint !== undefined,
      JSON.stringify(part),
    );
  }
});

test("a second join with the same options differs in nothing", () => {
  const config = makeConfig(checkJoinOptions(good), "alpha", 0);
  assert.deepEqual(differences(config, checkJoinOptions(good)), []);
  const spelled = { ...good, device: "vpn-office", mtu: 1400, nodeName: "Alpha" };
  assert.deepEqual(differences(config, checkJoinOptions(spelled)), []);
});

test("a second join names the options that differ", () => {
  const config = makeConfig(checkJoinOptions(good), "alpha", 0);
  const other = {
    ...good,
    iex: ["b:1"],
    virtualIp: "10.0.0.11/16",
    badger: true,
    listenPort: 5,
    device: "x",
    mtu: 1300,
    nodeName: "beta",
  };
  assert.deepEqual(differences(config, checkJoinOptions(other)), [
    "--iex",
    "--vip",
    "--badger",
    "--listen-port",
    "--device",
    "--mtu",
    "--name",
  ]);
});
