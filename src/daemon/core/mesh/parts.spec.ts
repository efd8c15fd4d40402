import assert from "node:assert/strict";
import { test } from "node:test";
import { compareAddresses, hostPrefix, inSubnet, isHostAddress } from "./address.js";
import { badgerCodec } from "./badger-codec.js";
import { endpointsToTry, isLeader } from "./listing.js";
import { OwnEndpoints, readOwnEndpoints } from "./own-endpoints.js";
import { newPeer, type Peer } from "./peer.js";
import type { MapEntry } from "./types.js";

const at = { now: 0, wall: 0 };

test("addresses are compared as numbers, not as text", () => {
  assert.ok(compareAddresses("10.0.0.9", "10.0.0.10") < 0);
  assert.ok(compareAddresses("10.0.1.0", "10.0.0.255") > 0);
  assert.equal(compareAddresses("fd00::1", "fd00::1"), 0);
  assert.ok(compareAddresses("10.0.0.1", "::1") < 0);
});

test("hosts of a subnet are neither its network nor its broadcast address", () => {
  const subnet = { address: "10.0.3.7", length: 16 };
  assert.ok(isHostAddress("10.0.255.254", subnet));
  for (const bad of ["10.0.0.0", "10.0.255.255", "10.1.0.1", "fd00::1"]) {
    assert.ok(!isHostAddress(bad, subnet), bad);
  }
  assert.ok(isHostAddress("10.0.0.0", { address: "10.0.0.1", length: 31 }));
  assert.ok(inSubnet("fd00::1", { address: "fd00::", length: 64 }));
  assert.equal(hostPrefix("fd00::1"), "fd00::1/128");
});

test("own endpoints count for a minute; stored ones from the start on", () => {
  const own = new OwnEndpoints([{ endpoint: "1.1.1.1:1", seen: 5 }], 1000);
  assert.ok(own.has("1.1.1.1:1", 60_999));
  assert.ok(!own.has("1.1.1.1:1", 61_000));
  assert.equal(own.confirm("2.2.2.2:2", 2000, 70), true);
  assert.equal(own.confirm("2.2.2.2:2", 7000, 75), false);
  assert.ok(own.has("2.2.2.2:2", 66_999));
  assert.deepEqual(own.list().at(-1), { endpoint: "2.2.2.2:2", seen: 75 });
  for (let i = 0; i < 100; i++) own.confirm(`3.3.3.3:${i}`, 8000, 80);
  assert.ok(own.list().length <= 17);
  assert.deepEqual(readOwnEndpoints([{ endpoint: "1.1.1.1:1", seen: 1 }, {}, null]), [
    { endpoint: "1.1.1.1:1", seen: 1 },
  ]);
});

function peerAt(...listed: MapEntry[]): Peer {
  return { ...newPeer(1, "10.0.0.9", at), listed };
}

const config = { virtualIp: "10.0.0.10", prefixLength: 16 };

test("the larger virtual IP leads", () => {
  const all = {
    ...config,
    badger: false,
    nodeKey: new Uint8Array(32),
    servers: [],
    port: 1,
    pins: [],
    ownEndpoints: [],
    epochs: [],
  };
  assert.equal(isLeader(all, peerAt()), true);
  assert.equal(isLeader({ ...all, virtualIp: "10.0.0.8" }, peerAt()), false);
});

test("a private endpoint is tried only behind the same public address and in a subnet of ours", () => {
  const here = {
    publicEndpoint: "203.0.113.1:1",
    subnets: [{ address: "192.168.1.10", length: 24 }],
    port: 4400,
  };
  const entry = { virtualIp: "10.0.0.9", publicEndpoint: "203.0.113.1:2" };
  const tried = (privateEndpoint: string, publicEndpoint = entry.publicEndpoint) =>
    endpointsToTry(peerAt({ ...entry, publicEndpoint, privateEndpoint }), here);
  assert.deepEqual(tried("192.168.1.11:4400"), ["192.168.1.11:4400", "203.0.113.1:2"]);
  assert.deepEqual(tried("192.168.2.11:4400"), ["203.0.113.1:2"]);
  assert.deepEqual(tried("127.0.0.1:22"), ["203.0.113.1:2"]);
  assert.deepEqual(tried("192.168.1.10:4400"), ["203.0.113.1:2"], "our own address");
  assert.deepEqual(tried("192.168.1.11:4400", "203.0.113.2:2"), ["203.0.113.2:2"]);
});

test("a rekey goes along the living path first, everything else to the newest endpoint", () => {
  const here = { publicEndpoint: undefined, subnets: [], port: 1 };
  const peer = peerAt(
    { virtualIp: "10.0.0.9", publicEndpoint: "2.2.2.2:2" },
    { virtualIp: "10.0.0.9", publicEndpoint: "1.1.1.1:1" },
  );
  assert.deepEqual(endpointsToTry(peer, here), ["2.2.2.2:2", "1.1.1.1:1"]);
  peer.session = {
    kind: "live",
    assoc: 1,
    endpoint: "9.9.9.9:9",
    role: "client",
    foreign: false,
    cipher: "x",
    epoch: 1,
  };
  peer.redial = "rekey";
  assert.deepEqual(endpointsToTry(peer, here), ["9.9.9.9:9"]);
  peer.failures = 1;
  assert.deepEqual(endpointsToTry(peer, here), ["9.9.9.9:9", "2.2.2.2:2", "1.1.1.1:1"]);
  peer.redial = "moved";
  assert.deepEqual(endpointsToTry(peer, here), ["2.2.2.2:2", "1.1.1.1:1"]);
});

test("a private address without a port is tried at the port that the server saw", () => {
  const map = {
    Nodes: [{ VirtualIP: "10.0.0.9", PrivateIP: "192.168.1.11", PublicIP: "1.1.1.1:77" }],
    MyIndex: 0,
  };
  const decoded = badgerCodec.decodeMap(Buffer.from(JSON.stringify(map)));
  assert.equal(decoded?.entries[0]?.privateEndpoint, "192.168.1.11:77");
  assert.equal(decoded?.myIndex, 0);
  assert.equal(badgerCodec.decodeMap(Buffer.from("{")), undefined);
  const beat = Buffer.from(badgerCodec.encodeHeartbeat("10.0.0.9", "192.168.1.11:4400")).toString();
  assert.deepEqual(JSON.parse(beat), { VirtualIP: "10.0.0.9", PrivateIP: "192.168.1.11:4400" });
});
