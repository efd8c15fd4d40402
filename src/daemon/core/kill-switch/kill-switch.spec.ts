import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../../common/errors.js";
import { checkAllowed } from "./hosts.js";
import { splitAttached } from "./lan.js";
import { killSwitchStep, letThrough } from "./rules.js";
import { asksTheSame, formatState, type KillSwitchState, parseState, strictest } from "./state.js";

const whole: KillSwitchState = {
  since: 1,
  allowLan: true,
  allowed: [{ name: "nas.example:22", endpoints: ["192.0.2.5:22", "[2001:db8::5]:22"] }],
  lan: ["192.168.1.0/24", "fe80::/64"],
  devices: ["vpn-a", "vpn-b"],
  servers: [{ name: "iex.example:9944", endpoints: ["192.0.2.1:9944"] }],
};

const textOf = (state: KillSwitchState): string => JSON.stringify(killSwitchStep(state).commands);

test("what was written is read again, and nothing else", () => {
  assert.deepEqual(parseState(formatState(whole)), whole);
  const file = JSON.parse(formatState(whole)) as Record<string, unknown>;
  for (const bad of [
    { version: 2 },
    { since: "1" },
    { lan: ["x"] },
    { devices: [1] },
    { allowed: [{ name: "a", endpoints: ["b"] }] },
    { servers: {} },
    { allowLan: undefined },
  ])
    assert.equal(parseState(JSON.stringify({ ...file, ...bad })), undefined, JSON.stringify(bad));
  for (const bad of ["", "{", "[]", "null"]) assert.equal(parseState(bad), undefined, bad);
});

test("both chains drop what no rule lets through, and are emptied before they are filled", () => {
  const { commands } = killSwitchStep(whole);
  for (const hook of ["output", "forward"]) {
    const about = commands.map((one) => JSON.stringify(one)).filter((one) => one.includes(`"${hook}"`));
    assert.match(about[0] ?? "", /"policy":"drop"/);
    assert.match(about[1] ?? "", /^\{"flush"/);
    assert.match(about.at(-1) ?? "", hook === "output" ? /"reject"/ : /"drop"/);
  }
});

test("only what this machine sends itself may have the mark", () => {
  const { commands } = killSwitchStep(whole);
  const marked = commands.map((one) => JSON.stringify(one)).filter((one) => one.includes('"mark"'));
  assert.equal(marked.length, 1);
  assert.match(marked[0] ?? "", /"chain":"output".*1048694/);
});

test("the LAN's look-ups are dropped before the LAN is let through, and only if it is", () => {
  const text = textOf(whole);
  assert.ok(text.indexOf('{"set":[53,853]}') < text.indexOf('"192.168.1.0"'));
  assert.ok(text.indexOf('"192.0.2.5"') < text.indexOf('{"set":[53,853]}'), "a host asked for comes first");
  assert.doesNotMatch(textOf({ ...whole, lan: [] }), /853|224\.0\.0\.0/);
});

test("names that nft would not take literally stay shut", () => {
  const text = textOf({ ...strictest, devices: ["@set", "vpn*", "a b", "vpn-a"] });
  assert.match(text, /"right":"vpn-a"/);
  assert.doesNotMatch(text, /@set|vpn\*|a b/);
  assert.doesNotMatch(textOf(strictest), /"oifname"\}\},"right":(?!"lo")/);
});

test("people read what is let through", () => {
  assert.deepEqual(letThrough(whole), [
    "tunnels: vpn-a, vpn-b",
    "vpnd's own packets to servers and peers",
    "loopback, DHCP, neighbour discovery",
    "the LAN, but for DNS: 192.168.1.0/24, fe80::/64",
    "host: nas.example:22 (192.0.2.5:22, [2001:db8::5]:22)",
  ]);
});

test("the order of hosts does not make another request", () => {
  assert.ok(asksTheSame(whole, { allowLan: true, allow: ["nas.example:22"] }));
  assert.ok(!asksTheSame(whole, { allowLan: false, allow: ["nas.example:22"] }));
  assert.ok(!asksTheSame(whole, { allowLan: true, allow: [] }));
});

test("hosts are written in one way", () => {
  assert.deepEqual(checkAllowed(["NAS.Example:22", "nas.example:22", "[2001:DB8:0::1]:443", "192.0.2.1:1"]), [
    "nas.example:22",
    "[2001:db8::1]:443",
    "192.0.2.1:1",
  ]);
  for (const bad of ["", "nas", "nas:0", "nas:65536", "10.1:80", "::1:80", "-x:1", "a_b:1", "192.0.2.1:0"])
    assert.throws(
      () => checkAllowed([bad]),
      (error) => error instanceof VpnError && error.code === "usage" && error.hint !== undefined,
      bad,
    );
  assert.throws(() => checkAllowed(Array.from({ length: 65 }, (_, n) => `h${n}:1`)), /too many/);
});

test("only private subnets are a LAN", () => {
  const { lan, refused } = splitAttached([
    "192.168.1.7/24",
    "10.0.0.1/8",
    "10.1.0.1/7",
    "172.32.0.1/16",
    "203.0.113.5/24",
    "fe80::1/64",
    "fd00::1/64",
    "2001:db8::1/64",
    "nonsense",
  ]);
  assert.deepEqual(lan, ["10.0.0.0/8", "192.168.1.0/24", "fd00::/64", "fe80::/64"]);
  assert.deepEqual(refused, ["10.0.0.0/7", "172.32.0.0/16", "2001:db8::/64", "203.0.113.0/24"]);
});
