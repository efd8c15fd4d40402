import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../../common/errors.js";
import { describeStep, describeUndo } from "./describe.js";
import type { Item, Link, Machine } from "./items.js";
import { refusalKey, routeKey, ruleKey } from "./keys.js";
import { planSteps } from "./plan.js";
import { applyActions, undoActions } from "./undo.js";

const link: Link = {
  name: "tun7",
  ifindex: 7,
  mtu: 1500,
  up: false,
  type: "tun",
  tunMode: "tun",
  persistent: true,
  addresses: ["192.0.2.1/24"],
};
const machine = (parts: Partial<Machine> & { link?: Link } = {}): Machine => ({
  links: new Map(parts.link ? [[parts.link.name, parts.link]] : []),
  sysctls: parts.sysctls ?? new Map(),
  nftTables: parts.nftTables ?? new Set(),
  routes: parts.routes ?? new Set(),
  rules: parts.rules ?? new Set(),
  refusals: parts.refusals ?? new Set(),
  files: parts.files ?? new Map(),
});

const mesh = (device: string, kind: "tun" | "existing-tun"): Item[] => [
  { kind, name: device },
  { kind: "link", device, mtu: 1400 },
  { kind: "address", device, address: "10.0.0.10/16" },
];

test("a device of ours is created, set up and given its address", () => {
  assert.deepEqual(planSteps(mesh("vpn-x", "tun"), machine()).map(describeStep), [
    "create device vpn-x (tun)",
    "set vpn-x up, mtu 1400",
    "add address 10.0.0.10/16 to vpn-x",
  ]);
});

test("an existing device is remembered as it was", () => {
  const steps = planSteps(mesh("tun7", "existing-tun"), machine({ link }));
  assert.deepEqual(steps.map(describeUndo), [
    "detach from device tun7",
    "restore tun7: down, mtu 1500",
    "remove address 10.0.0.10/16 from tun7",
  ]);
});

test("what is so already needs no step, and so is not undone", () => {
  const ready = { ...link, up: true, mtu: 1400, addresses: ["10.0.0.10/16"] };
  assert.deepEqual(planSteps(mesh("tun7", "existing-tun"), machine({ link: ready })), [
    { kind: "attach-tun", name: "tun7", ifindex: 7 },
  ]);
});

test("what is in the way is refused", () => {
  const refused: [Item, Machine][] = [
    [{ kind: "tun", name: "tun7" }, machine({ link })],
    [{ kind: "existing-tun", name: "tun7" }, machine()],
    [{ kind: "existing-tun", name: "tun7" }, machine({ link: { ...link, type: "veth" } })],
    [{ kind: "existing-tun", name: "tun7" }, machine({ link: { ...link, tunMode: "tap" } })],
    [{ kind: "existing-tun", name: "tun7" }, machine({ link: { ...link, persistent: false } })],
    [
      { kind: "nft-table", family: "inet", name: "vpnd", commands: [] },
      machine({ nftTables: new Set(["inet vpnd"]) }),
    ],
    [{ kind: "sysctl", key: "net/no/such", value: "1" }, machine()],
  ];
  for (const [item, state] of refused)
    assert.throws(() => planSteps([item], state), VpnError, JSON.stringify(item));
});

test("an existing device gets back its state, and addresses that the kernel dropped", () => {
  const [, set] = planSteps(mesh("tun7", "existing-tun"), machine({ link }));
  assert.ok(set);
  assert.deepEqual(undoActions(set, machine({ link: { ...link, up: true, mtu: 1400, addresses: [] } })), [
    { type: "ip", args: ["link", "set", "dev", "tun7", "mtu", "1500", "down"] },
    { type: "ip", args: ["addr", "replace", "192.0.2.1/24", "dev", "tun7"] },
  ]);
});

test("the kernel is kept from changing how an existing device makes addresses", () => {
  const quiet = { ...link, addrGenMode: "eui64", addresses: ["2001:db8::1/64"] };
  const [, set] = planSteps(mesh("tun7", "existing-tun"), machine({ link: quiet }));
  assert.ok(set);
  const none = { type: "ip", args: ["link", "set", "dev", "tun7", "addrgenmode", "none"] };
  assert.deepEqual(applyActions(set)[0], none);
  assert.deepEqual(undoActions(set, machine({ link: { ...quiet, up: true, mtu: 1400 } })), [
    { type: "ip", args: ["link", "set", "dev", "tun7", "mtu", "1500", "down"] },
    { type: "ip", args: ["link", "set", "dev", "tun7", "addrgenmode", "eui64"] },
    // Going down, the kernel drops it.
    { type: "ip", args: ["addr", "replace", "2001:db8::1/64", "dev", "tun7"] },
  ]);
  const [, other] = planSteps(mesh("tun7", "existing-tun"), machine({ link: { ...quiet, up: true } }));
  assert.ok(other);
  assert.equal(applyActions(other).length, 1);
});

test("a device that another one took the place of is left alone", () => {
  const steps = planSteps(mesh("tun7", "existing-tun"), machine({ link }));
  const other = machine({ link: { ...link, ifindex: 8, addresses: ["10.0.0.10/16"] } });
  for (const step of [...steps, { kind: "create-tun", name: "tun7", ifindex: 7 } as const]) {
    assert.deepEqual(undoActions(step, other), []);
    assert.deepEqual(undoActions(step, machine()), []);
  }
});

test("a setting that somebody changed since is theirs", () => {
  const before = machine({ sysctls: new Map([["net/ipv4/ip_forward", "0"]]) });
  const [step] = planSteps([{ kind: "sysctl", key: "net/ipv4/ip_forward", value: "1" }], before);
  assert.ok(step);
  const now = (value: string) => machine({ sysctls: new Map([["net/ipv4/ip_forward", value]]) });
  assert.deepEqual(undoActions(step, now("1")), [{ type: "sysctl", key: "net/ipv4/ip_forward", value: "0" }]);
  assert.deepEqual(undoActions(step, now("2")), []);
});

test("routes and rules are taken back only while they are there", () => {
  const rule = { family: 4, priority: 100, fwmark: 16, table: "51" } as const;
  const items: Item[] = [
    { kind: "route", device: "tun7", prefix: "0.0.0.0/0", table: "51" },
    { kind: "rule", rule },
  ];
  const steps = planSteps(items, machine({ link }));
  assert.deepEqual(steps.map(describeStep), [
    "add route 0.0.0.0/0 over tun7 in table 51",
    "add rule 100: from all fwmark 0x10 lookup 51",
  ]);
  const there = machine({
    link,
    routes: new Set([routeKey({ prefix: "default", device: "tun7", table: "51" })]),
    rules: new Set([ruleKey(rule)]),
  });
  assert.deepEqual(planSteps(items, there), []);
  for (const step of steps) {
    assert.equal(undoActions(step, there).length, 1);
    assert.deepEqual(undoActions(step, machine({ link })), []);
  }
});

test("rules, refusals and files of an exit node are ours only if all of it is as we made it", () => {
  const rule = { family: 4, priority: 5, not: true, fwmark: 16, to: "10.0.0.0/8", table: "main" } as const;
  const items: Item[] = [
    { kind: "rule", rule },
    { kind: "refusal", prefix: "::/0", table: "5676", metric: 9 },
    { kind: "file", path: "/etc/x", text: "1 a\n" },
  ];
  const steps = planSteps(items, machine());
  assert.deepEqual(
    steps.flatMap(applyActions).map((action) => ("args" in action ? action.args.join(" ") : action.type)),
    [
      "-4 rule add priority 5 not from all to 10.0.0.0/8 fwmark 16 table main",
      "-6 route add unreachable ::/0 metric 9 table 5676",
      "write-file",
    ],
  );
  const there = machine({
    rules: new Set([ruleKey({ ...rule, table: "254" })]),
    refusals: new Set([refusalKey({ prefix: "::/0", table: "vpnd", metric: 9 })]),
    files: new Map([["/etc/x", "1 a\n"]]),
  });
  assert.deepEqual(planSteps(items, there), []);
  for (const step of steps) assert.equal(undoActions(step, there).length, 1);
  const others = machine({
    rules: new Set([ruleKey({ family: 4, priority: 5, fwmark: 16, to: "10.0.0.0/8", table: "main" })]),
    refusals: new Set([refusalKey({ prefix: "0.0.0.0/0", table: "vpnd", metric: 9 })]),
    files: new Map([["/etc/x", "2 a\n"]]),
  });
  for (const step of steps) assert.deepEqual(undoActions(step, others), []);
  assert.throws(() => planSteps(items, others), /not ours/);
});

test("the default routes of both families are two", () => {
  const routes = new Set([routeKey({ prefix: "default", device: "t", table: "7" })]);
  const wanted = ["0.0.0.0/0", "::/0"].map(
    (prefix): Item => ({ kind: "route", device: "t", prefix, table: "7" }),
  );
  assert.deepEqual(planSteps(wanted, machine({ routes })).map(describeStep), [
    "add route ::/0 over t in table 7",
  ]);
});
