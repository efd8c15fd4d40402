/** What filter rules do, on whatever carrier: the table says how the hosts are connected, the steps are the same. */
import assert from "node:assert/strict";
import type { Daemon } from "../../lab/programs.js";
import type { Step } from "../../lab/suite.js";
import type { Question, Talker } from "../../lab/talker.js";

export interface FilterHost {
  daemon: Daemon;
  talker: Talker;
}

/** Whose rules they are, and who would come in; all with vpnd running and in no network. */
export interface FilterHosts {
  guarded: FilterHost;
  alice: FilterHost;
  bob: FilterHost;
}

export interface FilterMember extends FilterHost {
  /** Virtual IP, without its length. */
  address: string;
  /** As its peers know it. */
  name: string;
  /** How it leaves, where that is not `vpnctl leave`. */
  leave?: () => Promise<void>;
}

export interface Connected {
  guarded: FilterMember;
  alice: FilterMember;
  /** Another peer of the guarded node, where the carrier has several. */
  bob?: FilterMember;
  /** Waits until the guarded node is connected with all others. */
  up: () => Promise<void>;
}

export interface FilterCarrier<S extends FilterHosts> {
  title: string;
  /** Joins the hosts to one network by this carrier; the steps leave it. */
  connect: (hosts: S) => Promise<Connected>;
  /** The steps run for the same carrier elsewhere: those are left out in which the form of its packets makes no difference. */
  brief?: boolean;
}

export interface RulesJson {
  default: string;
  rules: {
    position: number;
    verdict: string;
    services: string[];
    from: { virtualIp?: string; name?: string }[];
    text: string;
  }[];
  filteredPackets: number;
}

/** Ports of the talkers, TCP and UDP. */
export const [ssh, web, time] = [7001, 7002, 7003] as const;

export const rulesOf = ({ daemon }: FilterHost): Promise<RulesJson> => daemon.json<RulesJson>(["rules"]);

/** All of these are answered. */
export async function opened(
  from: FilterHost,
  to: { address: string },
  ...questions: Question[]
): Promise<void> {
  const outcomes = questions.map(async (one) => [one, await from.talker.ask(to.address, one, 10_000)]);
  assert.deepEqual(
    await Promise.all(outcomes),
    questions.map((one) => [one, "answer"]),
  );
}

/** Nobody answers any of these, not even to refuse it. */
export async function closed(
  from: FilterHost,
  to: { address: string },
  ...questions: Question[]
): Promise<void> {
  const outcomes = questions.map(async (one) => [one, await from.talker.ask(to.address, one, 1_000)]);
  assert.deepEqual(
    await Promise.all(outcomes),
    questions.map((one) => [one, "silence"]),
  );
}

/** On a device with frames they have to find each other again. */
async function forgetNeighbours(...hosts: FilterHost[]): Promise<void> {
  for (const { daemon } of hosts) await daemon.host.ip("neigh", "flush", "all");
}

export function filterSteps<S extends FilterHosts>(step: Step<S>, carrier: FilterCarrier<S>): void {
  let connected: Connected | undefined;
  const { title: name, connect, brief = false } = carrier;
  const on = (title: string, body: (scene: Connected) => Promise<void>): void => {
    step(`${name}: ${title}`, async () => {
      if (connected === undefined) throw new Error("the hosts were not connected");
      await body(connected);
    });
  };

  step(`${name}: a new network has no rules, and everything comes in`, async (hosts) => {
    connected = await connect(hosts);
    await connected.up();
    const { guarded, alice, bob } = connected;
    assert.deepEqual(await rulesOf(guarded), {
      schema: "vpnctl.rules/v1",
      network: "default",
      default: "allow",
      rules: [],
      filteredPackets: 0,
    });
    await opened(alice, guarded, `tcp/${ssh}`, `udp/${time}`, "icmp");
    if (bob !== undefined) await opened(bob, guarded, `tcp/${ssh}`, `udp/${time}`, "icmp");
  });

  on("a port is closed for one peer and open for another", async ({ guarded, alice, bob }) => {
    const { daemon } = guarded;
    await daemon.ok(["deny", `tcp/${ssh}`, "--from", alice.name]);
    await closed(alice, guarded, `tcp/${ssh}`);
    await opened(alice, guarded, `tcp/${web}`, `udp/${ssh}`, "icmp");
    if (bob !== undefined) await opened(bob, guarded, `tcp/${ssh}`);
    const text = await daemon.ok(["rules"]);
    assert.match(text, new RegExp(`deny\\s+tcp/${ssh}\\s+.*${alice.address.replaceAll(".", "\\.")}`));
    assert.match(text, /# .* packets were not let in/);
    assert.ok(((await daemon.stats()).drops.filtered ?? 0) > 0);
  });

  const onceFor = brief ? () => {} : on;

  onceFor("the first rule that matches decides, and a rule for somebody else does nothing", async (scene) => {
    const { guarded, alice } = scene;
    const stranger = alice.address.replace(/\d+$/, "77");
    await guarded.daemon.ok(["allow", `tcp/${ssh}`, "--from", stranger, "--position", "1"]);
    await closed(alice, guarded, `tcp/${ssh}`);
    await guarded.daemon.ok(["allow", `tcp/${ssh}`, "--from", alice.address, "--position", "1"]);
    await opened(alice, guarded, `tcp/${ssh}`);
  });

  on("with everything denied, answers to this host's own packets come in", async ({ guarded, alice }) => {
    await guarded.daemon.ok(["rules", "clear"]);
    await guarded.daemon.ok(["deny", "--default"]);
    await forgetNeighbours(guarded, alice);
    await closed(alice, guarded, `tcp/${web}`, `udp/${time}`, "icmp");
    // In fragments too; and an ICMP error is an answer.
    const questions = [`tcp/${web}`, `udp/${time}`, `udp/${time} 4000`, "icmp", "icmp 4000"];
    await opened(guarded, alice, ...questions);
    assert.equal(await guarded.talker.ask(alice.address, "udp/9", 10_000), "refused");
    assert.equal(await guarded.talker.ask(alice.address, "tcp/9", 10_000), "refused");
  });

  on("what is allowed comes in, whole and in fragments, and nothing else", async (scene) => {
    const { guarded, alice, bob } = scene;
    await guarded.daemon.ok(["allow", "icmp"]);
    const services = [`udp/${time}`, `tcp/${web}-${time}`];
    await guarded.daemon.ok(["allow", ...services, "--from", alice.address]);
    await opened(alice, guarded, "icmp", "icmp 4000", `udp/${time}`, `udp/${time} 4000`);
    await opened(alice, guarded, `tcp/${web}`, `tcp/${time}`);
    await closed(alice, guarded, `udp/${web}`, `udp/${web} 4000`, `tcp/${ssh}`);
    if (bob === undefined) return;
    await opened(bob, guarded, "icmp", "icmp 4000");
    await closed(bob, guarded, `udp/${time}`, `udp/${time} 4000`, `tcp/${web}`);
  });

  onceFor("rules outlive vpnd", async ({ guarded, alice, up }) => {
    const { daemon } = guarded;
    const before = await rulesOf(guarded);
    await daemon.crash();
    await daemon.start();
    await up();
    // The new device may have another hardware address.
    await forgetNeighbours(guarded, alice);
    await closed(alice, guarded, `tcp/${ssh}`);
    await opened(alice, guarded, `tcp/${web}`);
    const after = await rulesOf(guarded);
    assert.deepEqual({ ...after, filteredPackets: 0 }, { ...before, filteredPackets: 0 });
    assert.equal(after.default, "deny");
    assert.ok(after.filteredPackets > 0);
  });

  on("without its rules everything comes in again", async ({ guarded, alice, bob }) => {
    await guarded.daemon.ok(["rules", "clear"]);
    await opened(alice, guarded, `tcp/${ssh}`, `udp/${time}`, "icmp");
    // With rules, which whoever joins it anew shall not find.
    await guarded.daemon.ok(["deny", "--default"]);
    const members = bob === undefined ? [guarded, alice] : [guarded, alice, bob];
    await Promise.all(members.map(({ daemon, leave }) => leave?.() ?? daemon.ok(["leave"])));
  });
}
