import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VpnError } from "../../../common/errors.js";
import { parseRulePeer } from "./rule-peer.js";
import {
  boundTo,
  engineFilter,
  limits,
  noRules,
  type Rule,
  type Rules,
  ruleText,
  shadowOf,
  withoutRule,
  withRule,
} from "./rules.js";
import { parseService, serviceText } from "./service.js";
import { parseRules, rulesJson } from "./stored-rules.js";

const refused = (code: string, hint: RegExp) => (error: unknown) =>
  error instanceof VpnError && error.code === code && hint.test(error.hint ?? "");

const rule = (verdict: Rule["verdict"], services: string[], ...from: string[]): Rule => ({
  verdict,
  services: services.map(parseService),
  from: from.map((text) => parseRulePeer(text, "home", [])),
});
const rules = (...list: Rule[]): Rules => ({ rules: list, others: "allow" });

test("a service is read as it is written", () => {
  for (const text of ["tcp", "udp", "icmp", "tcp/22", "udp/1-65535", "tcp/8000-8100"]) {
    assert.equal(serviceText(parseService(text)), text);
  }
  assert.equal(serviceText(parseService("TCP/22-22")), "tcp/22");
});

test("what is no service is refused with a hint", () => {
  for (const [text, hint] of [
    ["22", /tcp\/22 or udp\/22/],
    ["tcp/0", /tcp\/22/],
    ["tcp/65536", /tcp\/22/],
    ["tcp/30-20", /tcp\/20-30/],
    ["icmp/8", /icmp/],
    ["tcp/ssh", /tcp\/22/],
    ["sctp", /tcp\/22/],
    ["", /tcp\/22/],
    ["tcp/-1", /tcp\/22/],
  ] as const) {
    assert.throws(() => parseService(text), refused("usage", hint), text);
  }
});

test("a peer is a virtual IP, somebody's name, or a name that waits", () => {
  const known = [
    { network: "home", virtualIp: "10.0.0.2", name: "Alice" },
    { network: "home", virtualIp: "10.0.0.3", name: "twin" },
    { network: "home", virtualIp: "10.0.0.4", name: "twin" },
  ];
  assert.deepEqual(parseRulePeer("10.0.0.9", "home", known), { virtualIp: "10.0.0.9" });
  assert.deepEqual(parseRulePeer("FD00:0::9", "home", known), { virtualIp: "fd00::9" });
  assert.deepEqual(parseRulePeer("alice.home", "home", known), { name: "alice", virtualIp: "10.0.0.2" });
  assert.deepEqual(parseRulePeer("carol", "home", known), { name: "carol" });
  assert.throws(() => parseRulePeer("twin", "home", known), refused("ambiguous", /10\.0\.0\.3, 10\.0\.0\.4/));
  for (const bad of ["", "a b", "alice.office", "10.0.0", "-x", "x".repeat(64)]) {
    assert.throws(() => parseRulePeer(bad, "home", known), refused("usage", /vpnctl peers/), bad);
  }
});

test("a rule that waits is bound to the first of that name, and to nobody else", () => {
  const state = rules(rule("deny", ["tcp"], "carol"));
  assert.equal(boundTo(state, [{ network: "home", virtualIp: "10.0.0.2", name: "bob" }]), state);
  const bound = boundTo(state, [{ network: "home", virtualIp: "10.0.0.3", name: "carol" }]);
  assert.equal(ruleText(bound.rules[0] ?? assert.fail()), "deny tcp from carol (10.0.0.3)");
  assert.equal(boundTo(bound, [{ network: "home", virtualIp: "10.0.0.4", name: "carol" }]), bound);
  const two = ["10.0.0.3", "10.0.0.4"].map((virtualIp) => ({ network: "home", virtualIp, name: "carol" }));
  assert.equal(boundTo(state, two), state);
});

test("a rule for nobody who is known matches nobody, not everybody", () => {
  const { rules: told } = engineFilter(
    rules(rule("allow", ["tcp/22"], "carol"), rule("allow", ["icmp"], "10.0.0.2", "fd00::2")),
  );
  assert.deepEqual(told[0]?.sources, []);
  assert.deepEqual(told[1]?.sources, ["10.0.0.2/32", "fd00::2/128"]);
  assert.equal(engineFilter(rules(rule("deny", ["udp"]))).rules[0]?.sources, undefined);
});

test("rules are put where they are asked for, and once", () => {
  const first = rule("deny", ["tcp/22"]);
  const second = rule("allow", ["tcp/22"], "10.0.0.2");
  const one = withRule(noRules, first);
  assert.equal(one.at, 1);
  assert.deepEqual(withRule(one.state, first), one);
  assert.deepEqual(withRule(one.state, second, 1).state.rules, [second, first]);
  assert.equal(withRule(one.state, second).at, 2);
  assert.throws(() => withRule(one.state, second, 3), refused("usage", /1 to 2/));
  assert.deepEqual(withoutRule(one.state, 1), { state: noRules, removed: first });
  assert.throws(() => withoutRule(one.state, 2), refused("not-found", /vpnctl rules/));
  const full = { ...noRules, rules: Array.from({ length: limits.rules }, () => first) };
  assert.throws(() => withRule(full, second), refused("usage", /fewer/));
});

test("a rule that never decides is found", () => {
  const state = rules(
    rule("deny", ["tcp/20-30"], "10.0.0.2"),
    rule("allow", ["tcp/22"], "10.0.0.2"),
    rule("allow", ["tcp/22"]),
    rule("allow", ["tcp"], "10.0.0.2"),
    rule("deny", [], "10.0.0.3"),
    rule("allow", ["icmp"], "10.0.0.3"),
  );
  assert.deepEqual(
    state.rules.map((_, index) => shadowOf(state, index + 1)),
    [undefined, 1, undefined, undefined, undefined, 5],
  );
});

test("rules come back from the disk as they went", () => {
  const service = fc.oneof(
    fc.constantFrom("tcp", "udp", "icmp"),
    fc.tuple(fc.constantFrom("tcp", "udp"), fc.integer({ min: 1, max: 65_535 })).map(([p, n]) => `${p}/${n}`),
  );
  const peer = fc.oneof(fc.ipV4(), fc.constantFrom("carol", "bob"));
  const any = fc
    .tuple(fc.constantFrom<Rule["verdict"]>("allow", "deny"), fc.array(service), fc.array(peer))
    .map(([verdict, services, from]) => rule(verdict, services, ...from));
  fc.assert(
    fc.property(
      fc.array(any, { maxLength: 5 }),
      fc.constantFrom<Rule["verdict"]>("allow", "deny"),
      (list, others) => {
        const state = { rules: list, others };
        assert.deepEqual(parseRules(JSON.parse(JSON.stringify(rulesJson(state)))), state);
      },
    ),
  );
});

test("damaged rules are an error, never fewer rules", () => {
  const good = { others: "deny", rules: [{ verdict: "deny", services: ["tcp"], from: [{ name: "a" }] }] };
  assert.ok(parseRules(good));
  for (const bad of [
    null,
    {},
    { ...good, others: "maybe" },
    { ...good, rules: {} },
    { ...good, rules: [{}] },
    { ...good, rules: [{ verdict: "deny", services: ["tcp/x"], from: [] }] },
    { ...good, rules: [{ verdict: "deny", services: [], from: [{}] }] },
    { ...good, rules: [{ verdict: "deny", services: [], from: [{ virtualIp: "x" }] }] },
    { ...good, rules: [{ verdict: "deny", services: [], from: [{ name: 3 }] }] },
    { ...good, rules: [{ verdict: "deny", services: [] }] },
  ]) {
    assert.throws(() => parseRules(bad), JSON.stringify(bad));
  }
});
