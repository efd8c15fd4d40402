import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../../common/errors.js";
import { AddressPlan, checkSubnets, defaultSubnets } from "./addresses.js";
import { Allowance } from "./allowance.js";
import { checkGatewayClient, firstHop } from "./client-options.js";
import { canonicalPrefixes, closedDestinations } from "./destinations.js";
import { leadInto } from "./into.js";
import { gatewayItems } from "./nat.js";
import { type AskedGateway, checkGatewayOptions, isLocal, refuseStrangers } from "./options.js";
import { destinationsOf } from "./reach.js";
import { makeResumeToken, readResumeToken } from "./resume-token.js";
import { formatUsers, type GatewayUser, hashToken, makeToken, parseUsers, userOfToken } from "./users.js";

const asked: AskedGateway = {
  listen: "",
  path: "",
  open: false,
  subnets: [],
  mtu: 0,
  maxClients: 0,
  keepSeconds: undefined,
  allow: [],
  allowHost: false,
  allowClients: false,
  dns: [],
  fanqiang: false,
  padding: false,
  workers: 0,
  into: "",
  noInternet: false,
  anySource: false,
  isolation: "",
};

test("each slot has a /30 and a /127 of its own", () => {
  const plan = new AddressPlan(checkSubnets(defaultSubnets));
  assert.equal(plan.capacity, 16_384);
  assert.deepEqual(plan.at(0), {
    gateway: ["10.91.0.1/30", "fd76:706e:6477::/127"],
    client: ["10.91.0.2/30", "fd76:706e:6477::1/127"],
  });
  assert.deepEqual(plan.at(16_383).client, ["10.91.255.254/30", "fd76:706e:6477::7fff/127"]);
  assert.equal(new AddressPlan(["192.0.2.0/28"]).capacity, 4);
  assert.deepEqual(plan.whole, ["10.91.0.1/16", "fd76:706e:6477::/112"]);
});

test("subnets that do not fit are refused", () => {
  for (const texts of [["10.0.0.0/31"], ["10.0.0.0/4"], ["fd00::/64"], ["10.0.0.0/16", "10.1.0.0/16"], ["x"]])
    assert.throws(() => checkSubnets(texts), VpnError, texts.join());
  assert.deepEqual(checkSubnets(["fd00::5/100", "10.1.2.3/16"]), ["10.1.0.0/16", "fd00::/100"]);
});

test("options have defaults, and what is out of range is refused", () => {
  const options = checkGatewayOptions(asked);
  assert.equal(options.listen, "127.0.0.1:8080");
  assert.deepEqual(
    [options.path, options.mtu, options.maxClients, options.keepSeconds],
    ["/", 1500, 1000, 300],
  );
  assert.equal(checkGatewayOptions({ ...asked, listen: "9000" }).listen, "0.0.0.0:9000");
  assert.equal(checkGatewayOptions({ ...asked, subnets: ["192.0.2.0/28"] }).maxClients, 4);
  for (const bad of [
    { listen: "here:1" },
    { listen: "127.0.0.1:0" },
    { isolation: "none" },
    { path: "tunnel" },
    { path: "/a b" },
    { mtu: 1000 },
    { keepSeconds: -1 },
    { keepSeconds: Number.NaN },
    { allow: ["all"] },
    { dns: ["dns.example"] },
    { subnets: ["192.0.2.0/28"], maxClients: 5 },
    { fanqiang: true, mtu: 40_000 },
    { fanqiang: true, subnets: ["10.0.0.0/16"] },
    { maxClients: 100_000, subnets: ["10.0.0.0/8"] },
  ])
    assert.throws(() => checkGatewayOptions({ ...asked, ...bad }), VpnError, JSON.stringify(bad));
});

test("clients of fanqiang-poc have no tokens, so that a gateway for them is open", () => {
  assert.equal(checkGatewayOptions({ ...asked, fanqiang: true }).open, true);
  assert.equal(checkGatewayOptions({ ...asked, padding: true }).open, false);
});

test("nobody is served by accident", () => {
  const at = (listen: string, open = false) => checkGatewayOptions({ ...asked, listen, open });
  assert.equal(isLocal("127.0.0.1:1") && isLocal("[::1]:1"), true);
  assert.throws(() => refuseStrangers(at("0.0.0.0:8080"), 0), /could use the gateway/);
  assert.throws(() => refuseStrangers(at("[::]:8080"), 0), VpnError);
  refuseStrangers(at("0.0.0.0:8080"), 1);
  refuseStrangers(at("0.0.0.0:8080", true), 0);
  refuseStrangers(at("127.0.0.1:8080"), 0);
});

test("a token is known by its hash alone, until it expires", () => {
  const token = makeToken(Buffer.alloc(32, 7));
  const user: GatewayUser = { name: "a", tokenHash: hashToken(token), created: 0, expires: 100 };
  assert.equal(userOfToken([user], token, 99), user);
  assert.equal(userOfToken([user], token, 100), "expired");
  for (const wrong of ["", "x", `${token}x`, "x".repeat(1000), user.tokenHash])
    assert.equal(userOfToken([user], wrong, 0), "unknown");
  const file = formatUsers([user]);
  assert.ok(!file.includes(token));
  assert.deepEqual(parseUsers(file), [user]);
  for (const text of ["", "{", '{"version":2,"users":[]}', '{"version":1,"users":[{"name":"a"}]}'])
    assert.equal(parseUsers(text), undefined, text);
});

test("a resume token is of one gateway and one user", () => {
  const key = Buffer.alloc(32, 1);
  const what = { slot: 77, nonce: "00112233445566778899aabb" };
  const token = makeResumeToken(key, "a", what);
  assert.deepEqual(readResumeToken(key, "a", token), what);
  assert.equal(readResumeToken(key, "b", token), undefined);
  assert.equal(readResumeToken(Buffer.alloc(32, 2), "a", token), undefined);
  for (const wrong of ["", "x", token.slice(1), `${token}A`, "A".repeat(54)])
    assert.equal(readResumeToken(key, "a", wrong), undefined, wrong);
});

test("a rate is kept by waiting", () => {
  const allowance = new Allowance(100_000, 0);
  assert.equal(allowance.spend(10_000, 0), 0);
  assert.equal(allowance.spend(10_000, 0), 100);
  assert.equal(allowance.spend(0, 100), 0);
  // What was saved is bounded.
  assert.equal(allowance.spend(10_000, 1e9), 0);
  assert.ok(allowance.spend(100_000, 1e9) >= 990);
});

test("URLs of gateways and proxies are checked, and secrets in them not repeated", () => {
  const check = (url: string, more: object = {}) => checkGatewayClient({ url, routes: [], ...more });
  assert.equal(check("wss://Gateway.Example/tunnel").url, "wss://gateway.example/tunnel");
  assert.equal(firstHop(check("wss://gateway.example/")), "gateway.example:443");
  assert.equal(firstHop(check("ws://[2001:db8::1]:81/")), "[2001:db8::1]:81");
  assert.equal(firstHop(check("ws://x/", { proxy: "http://proxy:3128/" })), "proxy:3128");
  for (const url of ["", "x", "http://x/", "ws://", "wss://user:secret@x/", "ws://x/#y"])
    assert.throws(
      () => check(url),
      (error) => error instanceof VpnError && !error.message.includes("secret"),
      url,
    );
  for (const more of [
    { proxy: "socks5://x:1" },
    { routes: ["0.0.0.0/0"] },
    { routes: ["::/0"] },
    { routes: ["x"] },
  ])
    assert.throws(() => check("ws://x/", more), VpnError, JSON.stringify(more));
  assert.deepEqual(check("ws://x/", { routes: ["192.0.2.7/24"] }).routes, ["192.0.2.0/24"]);
});

test("prefixes may be single addresses", () => {
  assert.deepEqual(canonicalPrefixes(["10.0.0.53", "fd00::1", "10.0.0.53/32"]), [
    "10.0.0.53/32",
    "fd00::1/128",
  ]);
  assert.equal(canonicalPrefixes(["x"]), undefined);
});

test("the kernel's rules let answers to clients, and clients nowhere else, unless asked for", () => {
  const rules = (more: Partial<AskedGateway>): string =>
    JSON.stringify(
      gatewayItems(checkGatewayOptions({ ...asked, ...more }), { guarded6: [], turnOn6: false }),
    );
  const drops = (text: string): number => text.split('"drop"').length - 1;
  assert.equal(drops(rules({})), 2);
  assert.equal(drops(rules({ allowHost: true })), 1);
  assert.equal(rules({}).split('"masquerade"').length - 1, 2);
  assert.notEqual(rules({ allowClients: true }), rules({}));
  const items = gatewayItems(checkGatewayOptions(asked), { guarded6: ["eth0"], turnOn6: true });
  assert.deepEqual(
    items.map(({ kind }) => kind),
    ["nft-table", "sysctl"],
    "the guard comes first",
  );
});

test("a network that clients get to is open to them, and without the Internet nothing else is", () => {
  const networks = [
    { name: "office", device: "vpn-office", addresses: ["10.20.0.1/16", "fd00:20::1/64"] },
    { name: "late", device: "vpn-late", addresses: [] },
  ];
  const into = leadInto("office", networks);
  assert.deepEqual(into, { device: "vpn-office", prefixes: ["10.20.0.0/16", "fd00:20::/64"] });
  assert.equal(leadInto("", networks), undefined);
  assert.throws(() => leadInto("home", networks), { code: "not-found" });
  assert.throws(() => leadInto("late", networks), { code: "failed" });
  const options = checkGatewayOptions({ ...asked, into: "office", allow: ["10.0.0.53"] });
  const { closed, open } = destinationsOf(options, into?.prefixes);
  assert.deepEqual(open, ["10.0.0.53/32", "10.20.0.0/16", "fd00:20::/64"]);
  assert.equal(closed, closedDestinations);
  const alone = checkGatewayOptions({ ...asked, into: "office", noInternet: true });
  assert.deepEqual(destinationsOf(alone).closed, ["0.0.0.0/0", "::/0"]);
  assert.throws(() => checkGatewayOptions({ ...asked, noInternet: true }), { code: "usage" });
  assert.throws(() => checkGatewayOptions({ ...asked, into: "a network" }), { code: "usage" });
});
