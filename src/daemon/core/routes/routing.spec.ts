import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../../common/errors.js";
import { type Cidr, parseCidr } from "../network/cidr.js";
import {
  acceptedAt,
  noRouting,
  readRouting,
  withAccept,
  withOffers,
  withoutOffers,
  withoutPeer,
  withReject,
} from "./routing.js";

const vip = "10.0.0.1/16";
const gw = { nodeKey: "aa", virtualIp: "10.0.0.2", name: "gw" };
const other = { nodeKey: "bb", virtualIp: "10.0.0.3" };

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed);
  return parsed;
}

const code = (wanted: string) => (error: unknown) => error instanceof VpnError && error.code === wanted;

test("offers are kept in order; the same one again changes nothing", () => {
  const one = withOffers(noRouting, ["192.168.1.0/24", "172.20.0.0/16"], "", vip);
  assert.deepEqual(one.offers, [{ prefix: "192.168.1.0/24" }, { prefix: "172.20.0.0/16" }]);
  assert.equal(withOffers(one, ["172.20.0.0/16"], "", vip), one);
  assert.deepEqual(withoutOffers(one, ["192.168.1.0/24"]).offers, [{ prefix: "172.20.0.0/16" }]);
  assert.deepEqual(withoutOffers(one, []).offers, []);
});

test("a mapped offer is known by both of its prefixes", () => {
  const one = withOffers(noRouting, ["192.168.1.0/24"], "10.99.1.0/24", vip);
  assert.deepEqual(one.offers, [{ prefix: "192.168.1.0/24", as: "10.99.1.0/24" }]);
  assert.deepEqual(withoutOffers(one, ["10.99.1.0/24"]).offers, []);
  assert.deepEqual(withoutOffers(one, ["192.168.1.0/24"]).offers, []);
});

const badOffers: [string, string[], string, string][] = [
  ["nothing", [], "", "usage"],
  ["no subnet", ["lan"], "", "usage"],
  ["an address in a subnet", ["192.168.1.5/24"], "", "usage"],
  ["a default route", ["0.0.0.0/0"], "", "usage"],
  ["two subnets under one", ["192.168.1.0/24", "192.168.2.0/24"], "10.99.1.0/24", "usage"],
  ["another size", ["192.168.1.0/24"], "10.99.0.0/16", "usage"],
  ["another family", ["192.168.1.0/24"], "fd00::/24", "usage"],
  ["an overlap with itself", ["192.168.0.0/16"], "192.168.0.0/16".replace("192.168", "192.169"), ""],
  ["the network's own addresses", ["10.0.5.0/24"], "", "conflict"],
  ["the network's own addresses by --as", ["192.168.1.0/24"], "10.0.5.0/24", "conflict"],
];
for (const [what, prefixes, as, wanted] of badOffers)
  test(`offering ${what}: ${wanted || "fine"}`, () => {
    const offer = () => withOffers(noRouting, prefixes, as, vip);
    if (wanted === "") assert.equal(offer().offers.length, 1);
    else assert.throws(offer, code(wanted));
  });

test("two offers must not overlap, neither here nor for peers", () => {
  const one = withOffers(noRouting, ["192.168.1.0/24"], "10.99.1.0/24", vip);
  assert.throws(() => withOffers(one, ["192.168.0.0/16"], "", vip), code("conflict"));
  assert.throws(() => withOffers(one, ["192.168.2.0/24"], "10.99.1.0/24", vip), code("conflict"));
  assert.throws(() => withOffers(one, ["192.168.1.0/24"], "", vip), code("conflict"));
  assert.throws(() => withoutOffers(one, ["172.16.0.0/16"]), code("not-found"));
});

test("accepting a peer takes all of it; accepting a part takes what lies inside", () => {
  const all = withAccept(noRouting, gw, []);
  assert.equal(acceptedAt(all, "aa", cidr("192.168.1.0/24")), 0);
  assert.equal(acceptedAt(all, "bb", cidr("192.168.1.0/24")), undefined);
  const part = withAccept(noRouting, gw, ["192.168.0.0/16"]);
  assert.equal(acceptedAt(part, "aa", cidr("192.168.1.0/24")), 0);
  assert.equal(acceptedAt(part, "aa", cidr("192.168.0.0/16")), 0);
  assert.equal(acceptedAt(part, "aa", cidr("192.0.0.0/8")), undefined);
  assert.equal(acceptedAt(part, "aa", cidr("10.1.0.0/16")), undefined);
  assert.equal(withAccept(part, gw, ["192.168.0.0/16"]), part);
  assert.deepEqual(withAccept(part, gw, []).accepts, [{ whom: gw, within: [] }]);
});

test("the order of acceptance is the order of choice", () => {
  const both = withAccept(withAccept(noRouting, other, []), gw, []);
  assert.equal(acceptedAt(both, "bb", cidr("10.9.0.0/24")), 0);
  assert.equal(acceptedAt(both, "aa", cidr("10.9.0.0/24")), 1);
});

test("rejecting makes an exception only where another acceptance still holds", () => {
  const all = withAccept(noRouting, "all", []);
  const except = withReject(all, gw, []);
  assert.equal(acceptedAt(except, "aa", cidr("10.9.0.0/24")), undefined);
  assert.equal(acceptedAt(except, "bb", cidr("10.9.0.0/24")), 0);
  assert.deepEqual(withReject(withAccept(noRouting, gw, []), gw, []), noRouting);
  const part = withReject(withAccept(noRouting, gw, []), gw, ["10.9.0.0/24"]);
  assert.equal(acceptedAt(part, "aa", cidr("10.9.0.0/24")), undefined);
  assert.equal(acceptedAt(part, "aa", cidr("10.8.0.0/24")), 0);
  assert.deepEqual(withReject(except, "all", []), noRouting);
});

test("what is said of one peer weighs more than what is said of all", () => {
  const none = withReject(withAccept(noRouting, "all", []), "all", ["10.9.0.0/24"]);
  assert.equal(acceptedAt(none, "aa", cidr("10.9.0.0/24")), undefined);
  assert.notEqual(acceptedAt(withAccept(none, gw, ["10.9.0.0/24"]), "aa", cidr("10.9.0.0/24")), undefined);
  const back = withAccept(withReject(withAccept(noRouting, "all", []), gw, []), gw, []);
  assert.notEqual(acceptedAt(back, "aa", cidr("10.9.0.0/24")), undefined);
});

test("decisions about a node key end with it", () => {
  const routing = withReject(withAccept(withAccept(noRouting, "all", []), other, []), gw, []);
  const left = withoutPeer(withoutPeer(routing, "aa"), "bb");
  assert.deepEqual(left, { ...noRouting, accepts: [{ whom: "all", within: [] }] });
});

test("it survives the disk, and damage is noticed", () => {
  const offered = withOffers(noRouting, ["192.168.1.0/24"], "10.99.1.0/24", vip);
  const routing = withReject(withAccept(offered, "all", ["10.0.0.0/8"]), gw, ["10.7.0.0/16"]);
  assert.deepEqual(readRouting(JSON.parse(JSON.stringify(routing))), routing);
  assert.deepEqual(readRouting(undefined), noRouting);
  for (const bad of [
    1,
    {},
    { ...routing, offers: [{}] },
    { ...routing, accepts: [{ whom: 1, within: [] }] },
  ]) {
    assert.throws(() => readRouting(bad));
  }
});
