import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnnouncedPeer } from "../carrier.js";
import { decideRoutes, type Surroundings } from "./decide.js";
import { devicesTowards } from "./devices.js";
import { noRouting, withAccept, withOffers } from "./routing.js";

const around: Surroundings = {
  virtualIp: "10.0.0.1/16",
  attached: ["192.168.1.7/24"],
  outside: ["203.0.113.9"],
};
const lan = "172.20.1.0/24";

function peer(number: number, routes: readonly string[], up = true): AnnouncedPeer {
  const what = { exit: { v4: false, v6: false }, routes };
  return { virtualIp: `10.0.0.${number}`, nodeKey: `key${number}`, up, what };
}

const whom = (number: number) => ({ nodeKey: `key${number}`, virtualIp: `10.0.0.${number}` });
const states = (decided: ReturnType<typeof decideRoutes>) =>
  decided.routes.map((route) => `${route.prefix} ${route.peer.virtualIp} ${route.state}`);

test("nothing is done with what was not accepted", () => {
  const decided = decideRoutes(noRouting, [peer(2, [lan])], around);
  assert.deepEqual(states(decided), [`${lan} 10.0.0.2 offered`]);
  assert.deepEqual(decided.install, []);
  assert.equal(decided.carriers.size, 0);
});

test("the peer that was accepted first carries it while it is up", () => {
  const routing = withAccept(withAccept(noRouting, whom(3), []), whom(2), []);
  const both = decideRoutes(routing, [peer(2, [lan]), peer(3, [lan])], around);
  assert.deepEqual([...both.carriers], [["key3", [lan]]]);
  assert.deepEqual(states(both).sort(), [`${lan} 10.0.0.2 standby`, `${lan} 10.0.0.3 active`]);
  const failed = decideRoutes(routing, [peer(2, [lan]), peer(3, [lan], false)], around);
  assert.deepEqual([...failed.carriers], [["key2", [lan]]]);
  assert.deepEqual(states(failed).sort(), [`${lan} 10.0.0.2 active`, `${lan} 10.0.0.3 offline`]);
});

test("with nobody up the route stays, so that packets do not go elsewhere", () => {
  const decided = decideRoutes(withAccept(noRouting, "all", []), [peer(2, [lan], false)], around);
  assert.deepEqual(decided.install, [lan]);
  assert.deepEqual(states(decided), [`${lan} 10.0.0.2 offline`]);
});

const shadowing: [string, string, RegExp][] = [
  ["an attached LAN", "192.168.1.0/24", /attached/],
  ["a part of an attached LAN", "192.168.1.128/25", /attached/],
  ["what holds an attached LAN", "192.168.0.0/16", /attached/],
  ["the network's own addresses", "10.0.7.0/24", /own/],
  ["what holds the network's own addresses", "10.0.0.0/8", /own/],
  ["our own offer", "10.99.1.0/25", /offers/],
  ["an endpoint of a peer", "203.0.113.0/24", /tunnel itself/],
];
for (const [what, prefix, message] of shadowing)
  test(`${what} is shadowed`, () => {
    const own = withOffers(noRouting, ["192.168.1.0/24"], "10.99.1.0/24", around.virtualIp);
    const decided = decideRoutes(withAccept(own, "all", []), [peer(2, [prefix])], around);
    assert.deepEqual(states(decided), [`${prefix} 10.0.0.2 shadowed`]);
    assert.match(decided.routes[0]?.reason?.message ?? "", message);
    assert.deepEqual(decided.install, []);
  });

test("devices towards a subnet", () => {
  const local = [
    { prefix: "192.168.1.1/24", device: "lan0" },
    { prefix: "192.168.1.0/24", device: "lan0" },
    { prefix: "192.168.0.0/16", device: "wide" },
    { prefix: "10.0.0.1/16", device: "vpn-x" },
  ];
  assert.deepEqual(devicesTowards("192.168.1.0/24", local, "vpn-x"), ["lan0"]);
  assert.deepEqual(devicesTowards("192.168.1.64/26", local, "vpn-x"), ["lan0"]);
  assert.deepEqual(devicesTowards("192.168.9.0/24", local, "vpn-x"), ["wide"]);
  assert.deepEqual(devicesTowards("192.168.0.0/16", local, "vpn-x"), ["lan0", "wide"]);
  assert.deepEqual(devicesTowards("10.0.5.0/24", local, "vpn-x"), []);
  assert.deepEqual(devicesTowards("172.16.0.0/24", local, "vpn-x"), []);
});
