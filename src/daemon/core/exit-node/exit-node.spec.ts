import assert from "node:assert/strict";
import { test } from "node:test";
import { offerItems } from "../routes/offer-items.js";
import { noRouting, readRouting, withExit, withoutPeer } from "../routes/routing.js";
import { describeStep, ruleText } from "../system/describe.js";
import type { Item } from "../system/items.js";
import { innerAddress6, innerCidr6, isInternet, isPublic } from "./addresses.js";
import { exceptionItems, guardItems, strictItems, tunnelItems } from "./client-items.js";
import { admits } from "./offer.js";
import { formatUse, parseUse, sameUse } from "./state.js";

const a = { nodeKey: "ka", virtualIp: "10.0.0.2", name: "a" };
const b = { nodeKey: "kb", virtualIp: "10.0.0.3" };
const rules = (items: readonly Item[]): string[] =>
  items.flatMap((item) => (item.kind === "rule" ? [ruleText(item.rule)] : []));

test("each virtual IPv4 address has an IPv6 address of its own, IPv6 ones need none", () => {
  assert.equal(innerAddress6("10.0.0.1/16"), "fd6e:8a5c:41d7::a00:1");
  assert.equal(innerCidr6("10.0.0.1"), "fd6e:8a5c:41d7::a00:1/96");
  assert.notEqual(innerAddress6("10.0.0.1"), innerAddress6("10.0.1.0"));
  assert.equal(innerAddress6("fd00::1/64"), undefined);
});

test("what is no Internet", () => {
  for (const address of [
    "10.1.2.3",
    "169.254.169.254",
    "100.64.0.1",
    "fd00::1",
    "fe80::1",
    "::1",
    "nonsense",
  ])
    assert.equal(isPublic(address), false, address);
  for (const address of ["93.184.216.34", "203.0.113.7", "2001:db8::1"])
    assert.equal(isPublic(address), true);
  assert.equal(isInternet("93.184.216.34/32"), true);
  assert.equal(isInternet("172.0.0.0/8"), false);
});

test("vpnd's own packets and DHCP are left out of the guard, and a LAN's look-ups stay in", () => {
  assert.deepEqual(rules(guardItems([4, 6])), [
    "5605: from all ipproto udp sport 68 dport 67 lookup main",
    "5620: not from all fwmark 0x100076 lookup 5676",
    "5620: not from all fwmark 0x100076 lookup 5676 (IPv6)",
  ]);
  assert.equal(guardItems([4]).length, 3);
  const parts = exceptionItems({ tunnels: ["10.0.0.0/16"], lan: ["192.168.1.0/24"] });
  assert.deepEqual(rules(parts.get("tunnel/10.0.0.0/16") ?? []), [
    "5600: from all to 10.0.0.0/16 lookup main suppress_prefixlength 0",
  ]);
  assert.deepEqual(rules(parts.get("lan/192.168.1.0/24") ?? []), [
    "5610: from all to 192.168.1.0/24 ipproto udp dport 53 lookup 5676",
    "5610: from all to 192.168.1.0/24 ipproto tcp dport 53 lookup 5676",
    "5610: from all to 192.168.1.0/24 ipproto tcp dport 853 lookup 5676",
    "5615: from all to 192.168.1.0/24 lookup main suppress_prefixlength 0",
  ]);
});

test("the address comes before the route that needs it", () => {
  const kinds = tunnelItems("vpn-a", 6, "fd00::1/96").map((item) => item.kind);
  assert.deepEqual(kinds, ["address", "route"]);
});

test("under strict checks of sources, answers to vpnd and questions of neighbours get its mark", () => {
  const steps = strictItems().map((item) =>
    item.kind === "nft-table" ? `${item.family} ${JSON.stringify(item.commands)}` : item.kind,
  );
  assert.equal(steps.length, 3);
  assert.match(steps[1] ?? "", /^inet .*"hook":"prerouting".*"socket".*"mangle"/);
  assert.match(steps[2] ?? "", /^arp .*"hook":"input".*"expr":\[\{"mangle"/);
});

const use = { since: 1, network: "n", peers: [a, b], allowLan: true, servers: [] };

test("the use of an exit node survives the disk, damage is seen", () => {
  const servers = [{ name: "iex.example:9944", endpoints: ["192.0.2.1:9944"] }];
  for (const one of [use, { ...use, servers, killSwitch: 7 }, { ...use, peers: "auto" as const }])
    assert.deepEqual(parseUse(formatUse(one)), one);
  const text = formatUse(use);
  for (const bad of [
    "",
    "[]",
    text.replace('"version": 1', '"version": 2'),
    text.replace('"allowLan": true', '"allowLan": 1'),
    text.replace('"nodeKey"', '"key"'),
    text.replace('"servers": []', '"servers": [1]'),
  ])
    assert.equal(parseUse(bad), undefined, bad);
});

test("the order of peers matters, their names do not", () => {
  assert.equal(sameUse(use, { ...use, peers: [{ ...a, name: "other" }, b] }), true);
  assert.equal(sameUse(use, { ...use, peers: [b, a] }), false);
  assert.equal(sameUse(use, { ...use, allowLan: false }), false);
  assert.equal(sameUse(use, { ...use, peers: "auto" }), false);
});

test("an offer is kept with the routes; for a forgotten peer it never becomes one for all", () => {
  const offer = { to: [a], allowHost: false };
  const routing = withExit(noRouting, offer);
  assert.equal(withExit(routing, { to: [a], allowHost: false }), routing);
  assert.deepEqual(readRouting(JSON.parse(JSON.stringify(routing))), routing);
  assert.deepEqual(readRouting({ ...noRouting }), noRouting);
  for (const exit of [1, {}, { allowHost: true, to: [] }, { allowHost: true, to: ["all"] }])
    assert.throws(() => readRouting({ ...noRouting, exit }));
  assert.equal(withoutPeer(routing, "ka").exit, undefined);
  assert.deepEqual(withoutPeer(withExit(noRouting, { to: [a, b], allowHost: false }), "ka").exit?.to, [b]);
  assert.deepEqual(withExit(routing, undefined), noRouting);
  assert.equal(admits(offer, "kb"), false);
  assert.equal(admits({ allowHost: false }, "kb"), true);
});

const tableOf = (items: readonly Item[]): string =>
  JSON.stringify(items.flatMap((item) => (item.kind === "nft-table" ? item.commands : [])));

test("an exit node masquerades, refuses private ranges, and is closed itself", () => {
  const exit = { offer: { to: [a], allowHost: false }, virtualIp: "10.0.0.1/24", six: true };
  const text = tableOf(offerItems("vpn-a", [], { exit, lans: [] }));
  for (const part of ["masquerade", "192.168.0.0", "admin-prohibited", "10.0.0.2", "fd6e:8a5c:41d7::a00:2"])
    assert.ok(text.includes(part), part);
  assert.match(text, /"hook":"input"/);
  const open = { ...exit, offer: { allowHost: true }, six: false };
  const other = tableOf(offerItems("vpn-a", [], { exit: open, lans: [] }));
  assert.doesNotMatch(other, /"hook":"input"|fd6e|10\.0\.0\.2/);
});

test("offered subnets see clients as they are, but for parts of the Internet", () => {
  const exit = { offer: { allowHost: true }, virtualIp: "10.0.0.1/24", six: false };
  const offers = [{ prefix: "172.20.0.0/16" }, { prefix: "93.184.216.34/32" }];
  const text = tableOf(offerItems("vpn-a", offers, { exit, lans: ["lan"] }));
  const left = [...text.matchAll(/"addr":"([\d.]+)","len":\d+\}\}\}\},\{"return":null\}/g)].map(
    (one) => one[1],
  );
  assert.deepEqual(left, ["172.20.0.0"]);
});

test("steps are said to people", () => {
  assert.equal(
    describeStep({ kind: "add-refusal", prefix: "::/0", table: "5676", metric: 1 }),
    "refuse ::/0 in table 5676 where no route takes it",
  );
});
