import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { resolvConfText } from "../names/resolv-conf.js";
import type { Machine } from "./items.js";
import { applyResolver, planResolver, resolverInForce, undoResolver } from "./resolver.js";
import type { LinkDns, ResolvConf, ResolverItem, ResolverState } from "./resolver-items.js";

const device = "vpn-home";
const former: ResolvConf & { type: "file" } = {
  type: "file",
  text: "nameserver 192.0.2.1\n",
  mode: 0o640,
  uid: 3,
  gid: 4,
};
const names: ResolverItem = {
  kind: "resolver",
  device,
  servers: ["10.9.0.1"],
  domains: ["home.vpn", "0.9.10.in-addr.arpa"],
  everything: false,
  resolvConf: resolvConfText(["10.9.0.1"], "home"),
};
const all: ResolverItem = { ...names, everything: true };

function machine(resolver: Partial<ResolverState>, ifindex = 7): Machine {
  const link = { name: device, ifindex, mtu: 1400, up: true, type: "tun", addresses: [] };
  return {
    links: new Map([[device, link]]),
    sysctls: new Map(),
    nftTables: new Set(),
    routes: new Set(),
    rules: new Set(),
    refusals: new Set(),
    files: new Map(),
    resolver: {
      resolved: false,
      links: new Map(),
      file: former,
      text: former.text,
      inPlace: false,
      ...resolver,
    },
  };
}

const withLink = (dns: LinkDns, ifindex?: number): Machine =>
  machine({ resolved: true, links: new Map([[device, dns]]) }, ifindex);

describe("resolver by systemd-resolved", () => {
  it("is told only what is not so yet", () => {
    const [step] = planResolver(all, machine({ resolved: true }));
    assert.ok(step?.kind === "set-link-dns");
    assert.deepEqual(step.settings, {
      servers: ["10.9.0.1"],
      domains: ["~home.vpn", "~0.9.10.in-addr.arpa", "~."],
      defaultRoute: true,
    });
    assert.deepEqual(planResolver(all, withLink(step.settings)), []);
    assert.ok(resolverInForce(step, withLink(step.settings)));
    assert.ok(!resolverInForce(step, machine({ resolved: true })));
    const [less] = planResolver(names, machine({ resolved: true }));
    assert.ok(less?.kind === "set-link-dns" && !less.settings.domains.includes("~."));
    assert.ok(!less.settings.defaultRoute);
  });

  it("is put back, unless somebody else changed it or the device is another", () => {
    const [step] = planResolver(names, machine({ resolved: true }));
    assert.ok(step?.kind === "set-link-dns");
    const revert = [{ type: "resolvectl", args: ["revert", device] }];
    assert.deepEqual(undoResolver(step, withLink(step.settings)), revert);
    assert.deepEqual(undoResolver(step, withLink({ ...step.settings, domains: [] })), revert, "half done");
    assert.deepEqual(undoResolver(step, withLink({ ...step.settings, servers: ["10.9.0.9"] })), []);
    assert.deepEqual(undoResolver(step, withLink(step.settings, 8)), []);
    assert.deepEqual(undoResolver(step, machine({ resolved: false })), []);
  });

  it("gives an existing device back what it had", () => {
    const had: LinkDns = { servers: ["192.0.2.9"], domains: ["corp.example"], defaultRoute: true };
    const [step] = planResolver(names, withLink(had));
    assert.ok(step?.kind === "set-link-dns");
    const undone = undoResolver(step, withLink(step.settings)).map((action) =>
      action.type === "resolvectl" ? action.args.join(" ") : "",
    );
    assert.equal(undone[0], `revert ${device}`);
    assert.ok(undone.includes(`dns ${device} 192.0.2.9`) && undone.includes(`domain ${device} corp.example`));
  });
});

describe("resolver by resolv.conf", () => {
  it("is not touched for the sake of names alone", () => {
    assert.deepEqual(planResolver(names, machine({})), []);
  });

  it("is replaced whole, and comes back whole", () => {
    const [step] = planResolver(all, machine({}));
    assert.ok(step?.kind === "replace-resolv-conf");
    const [action] = applyResolver(step);
    assert.ok(action?.type === "resolv-conf" && action.content.type === "file");
    assert.equal(action.content.text, all.resolvConf);
    assert.deepEqual(undoResolver(step, machine({ text: all.resolvConf })), [
      { type: "resolv-conf", content: former, inPlace: false },
    ]);
  });

  it("is left alone when it is not ours any more, or not yet", () => {
    const [step] = planResolver(all, machine({}));
    assert.ok(step);
    assert.deepEqual(undoResolver(step, machine({ text: "nameserver 192.0.2.7\n" })), []);
    assert.deepEqual(undoResolver(step, machine({})), []);
  });

  it("is known when it was half written in place", () => {
    const long: ResolvConf & { type: "file" } = {
      ...former,
      text: `${"# much\n".repeat(100)}nameserver 192.0.2.1\n`,
    };
    const [step] = planResolver(all, machine({ inPlace: true, file: long, text: long.text }));
    assert.ok(step);
    const half = all.resolvConf + long.text.slice(all.resolvConf.length);
    assert.equal(undoResolver(step, machine({ inPlace: true, text: half })).length, 1);
  });

  it("is refused in words where it cannot be written", () => {
    assert.throws(
      () => planResolver(all, machine({ obstacle: "it belongs to another" })),
      /belongs to another/,
    );
  });
});
