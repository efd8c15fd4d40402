/** Filter rules on each carrier; what `vpnctl` says of them; a rule for somebody who is not there yet. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import type { Lab } from "../lab/lab.js";
import { Database } from "../lab/postgres.js";
import { iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { Talker } from "../lab/talker.js";
import {
  type Connected,
  closed,
  type FilterCarrier,
  type FilterHost,
  type FilterHosts,
  type FilterMember,
  filterSteps,
  opened,
  rulesOf,
  ssh,
  time,
  web,
} from "./suites/filter-steps.js";

interface MeshHosts extends FilterHosts {
  iex: string;
  psk: string;
}

interface LinkHosts extends FilterHosts {
  database: Database;
}

type Numbered = (host: number) => string;
const v4: Numbered = (host) => `10.8.0.${host}`;
const v6: Numbered = (host) => `fd00:8::${host}`;

async function build(lab: Lab): Promise<FilterHosts> {
  const start = async (name: string): Promise<FilterHost> => {
    const host = await lab.publicHost(name);
    const [daemon, talker] = await Promise.all([vpnd(host), Talker.start(host, [ssh, web, time])]);
    return { daemon, talker };
  };
  const guarded = await start("guarded");
  const [alice, bob] = await Promise.all([start("alice"), start("bob")]);
  return { guarded, alice, bob };
}

async function buildMesh(lab: Lab): Promise<MeshHosts> {
  const server = await lab.publicHost("server");
  await iexd(server);
  return { ...(await build(lab)), iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
}

async function buildLinks(lab: Lab): Promise<LinkHosts> {
  const server = await lab.publicHost("server");
  const database = await Database.create(server, server.address, ["shared_buffers=64MB"]);
  return { ...(await build(lab)), database };
}

async function joinMesh(hosts: MeshHosts, who: FilterHost, vip: string, name: string): Promise<void> {
  const { iex, psk } = hosts;
  await who.daemon.join({ iex, psk, vip: `${vip}/${vip.includes(":") ? 64 : 24}`, name });
}

const upWith =
  (guarded: FilterMember, ...others: FilterMember[]) =>
  async (): Promise<void> => {
    for (const other of others) {
      await guarded.daemon.peerUp(other.address);
      await other.daemon.peerUp(guarded.address);
    }
  };

async function mesh(hosts: MeshHosts, address: Numbered): Promise<Connected> {
  const guarded = { ...hosts.guarded, address: address(1), name: "guarded" };
  const alice = { ...hosts.alice, address: address(2), name: "alice" };
  const bob = { ...hosts.bob, address: address(3), name: "bob" };
  await Promise.all(
    [guarded, alice, bob].map((member) => joinMesh(hosts, member, member.address, member.name)),
  );
  return { guarded, alice, bob, up: upWith(guarded, alice, bob) };
}

async function postgres(hosts: LinkHosts): Promise<Connected> {
  const { database } = hosts;
  const members = (["guarded", "alice", "bob"] as const).map((name, index) => ({
    ...hosts[name],
    name,
    address: v4(index + 1),
  }));
  const password = "of the log";
  await database.makeLog("owner", password);
  for (const { daemon, name, address } of members) {
    const file = join(daemon.host.folder, "password");
    writeFileSync(file, `${password}\n`, { mode: 0o600 });
    const secret = ["--postgres-password-file", file];
    await daemon.ok([
      "join",
      "--postgres",
      database.url("owner"),
      "--vip",
      `${address}/24`,
      "--name",
      name,
      ...secret,
    ]);
  }
  const [guarded, alice, bob] = members;
  if (guarded === undefined || alice === undefined || bob === undefined) throw new Error("nobody joined");
  return { guarded, alice, bob, up: upWith(guarded, alice, bob) };
}

async function link(hosts: LinkHosts, address: Numbered, more: readonly string[]): Promise<Connected> {
  const guarded = { ...hosts.guarded, address: address(1), name: "guarded" };
  const alice = { ...hosts.alice, address: address(2), name: "alice" };
  const length = guarded.address.includes(":") ? 64 : 24;
  const common = (one: FilterMember) => ["--vip", `${one.address}/${length}`, "--name", one.name, ...more];
  await guarded.daemon.ok(["join", "--tcp-listen", "55555", ...common(guarded)]);
  const there = `${guarded.daemon.host.address}:55555`;
  await alice.daemon.ok(["join", "--tcp-connect", there, ...common(alice)]);
  // By its name, which a rule may be for, each is known a moment later.
  const up = async (): Promise<void> => {
    await upWith(guarded, alice)();
    await guarded.daemon.peer(alice.address, ({ name }) => name === alice.name, 20_000, "by its name");
  };
  return { guarded, alice, up };
}

/** The guarded host is a client, and alice the gateway. */
async function gateway(hosts: LinkHosts): Promise<Connected> {
  const { daemon } = hosts.alice;
  const leave = async (): Promise<void> => void (await daemon.ok(["gateway", "stop"]));
  const alice = { ...hosts.alice, address: "10.91.0.1", name: "gateway", leave };
  await daemon.ok(["gateway", "start", "--open", "--listen", "0.0.0.0:8080", "--allow-host"]);
  const guarded = { ...hosts.guarded, address: "10.91.0.2", name: "guarded" };
  await guarded.daemon.ok(["join", "--gateway", `ws://${daemon.host.address}:8080/`]);
  return { guarded, alice, up: async () => void (await guarded.daemon.peerUp(alice.address)) };
}

const meshes: readonly FilterCarrier<MeshHosts>[] = [
  { title: "mesh", connect: (hosts) => mesh(hosts, v4) },
  { title: "mesh, IPv6", connect: (hosts) => mesh(hosts, v6), brief: true },
];

const links: readonly FilterCarrier<LinkHosts>[] = [
  { title: "postgres", connect: postgres },
  { title: "tcp", connect: (hosts) => link(hosts, v4, []) },
  { title: "tcp with frames, IPv6", connect: (hosts) => link(hosts, v6, ["--tap"]), brief: true },
  { title: "gateway", connect: gateway },
];

// Two labs, because one for all would be long.
labSuite<LinkHosts>("filter-links", buildLinks, (step) => {
  for (const carrier of links) filterSteps(step, carrier);

  step("a rule for a gateway is for all that comes by way of it, in both families", async (hosts) => {
    const { guarded, alice, up } = await gateway(hosts);
    await up();
    const six = { address: "fd76:706e:6477::1" };
    await guarded.daemon.ok(["deny", "--default"]);
    await guarded.daemon.ok(["allow", "icmp", `tcp/${web}`, "--from", "gateway"]);
    for (const to of [guarded, six]) {
      await closed(alice, to, `tcp/${ssh}`);
      await opened(alice, to, `tcp/${web}`, "icmp");
    }
    await guarded.daemon.ok(["leave"]);
    await alice.leave?.();
  });
});

labSuite<MeshHosts>("filter", buildMesh, (step) => {
  for (const carrier of meshes) filterSteps(step, carrier);

  step("a rule for somebody who is not there yet waits for him, and stays with him", async (hosts) => {
    const { guarded, alice: carol } = hosts;
    await joinMesh(hosts, guarded, v4(1), "guarded");
    const said = await guarded.daemon.ok(["deny", `tcp/${ssh}`, "--from", "carol"]);
    assert.match(said, /nobody is called carol yet/);
    await joinMesh(hosts, carol, v4(4), "carol");
    const bound = await waitFor(
      async () => (await rulesOf(guarded)).rules[0]?.from[0]?.virtualIp,
      15_000,
      "the rule knows carol",
    );
    assert.equal(bound, v4(4));
    await opened(carol, { address: v4(1) }, `tcp/${web}`);
    await closed(carol, { address: v4(1) }, `tcp/${ssh}`);
    // They change while the network is down, too.
    await guarded.daemon.ok(["down"]);
    await guarded.daemon.ok(["deny", `tcp/${web}`]);
    await guarded.daemon.ok(["up"]);
    await guarded.daemon.peerUp(v4(4));
    await opened(carol, { address: v4(1) }, `tcp/${time}`);
    await closed(carol, { address: v4(1) }, `tcp/${web}`);
    await guarded.daemon.ok(["rules", "remove", "2"]);
    await carol.daemon.ok(["leave"]);
    const { rules } = await rulesOf(guarded);
    assert.deepEqual(rules[0]?.from, [{ virtualIp: v4(4), name: "carol" }]);
  });

  step(
    "a dry run changes nothing, the same rule again neither, and a late rule is told of",
    async (hosts) => {
      const { daemon } = hosts.guarded;
      const before = (await rulesOf(hosts.guarded)).rules;
      const from = ["--from", v4(4)];
      const said = await Promise.all([
        daemon.ok(["deny", "icmp", "--dry-run"]),
        daemon.ok(["rules", "clear", "--dry-run"]),
        daemon.ok(["deny", "--default", "--dry-run"]),
        daemon.ok(["deny", `tcp/${ssh}`, ...from]),
        daemon.ok(["allow", `tcp/${ssh}`, ...from, "--dry-run"]),
      ]);
      const expected = [
        /add rule 2: deny icmp/,
        /remove rule 1: deny/,
        /deny what no rule matches/,
        /rule 1 is there already/,
        /# rule 2 never decides: rule 1/,
      ];
      for (const [index, pattern] of expected.entries()) assert.match(said[index] ?? "", pattern);
      assert.deepEqual((await rulesOf(hosts.guarded)).rules, before);
    },
  );

  step("nonsense is explained", async ({ guarded }) => {
    await Promise.all(
      (
        [
          [2, ["allow"], /vpnctl allow --default/],
          [2, ["allow", "22"], /tcp\/22/],
          [2, ["deny", "tcp", "--position", "9"], /1 to 2/],
          [2, ["deny", "tcp", "--from", "no such peer"], /vpnctl peers/],
          [2, ["deny", "tcp", "--default"], /a rule/],
          [1, ["rules", "remove", "7"], /vpnctl rules/],
        ] as const
      ).map(async ([exit, args, hint]) => {
        const { code, stderr } = await guarded.daemon.ctl(args);
        assert.equal(code, exit, args.join(" "));
        assert.match(stderr, hint);
      }),
    );
  });
});
