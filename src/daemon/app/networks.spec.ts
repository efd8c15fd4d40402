import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { pino } from "pino";
import { VpnError } from "../../common/errors.js";
import type { Carrier, CarrierEvent, CarrierView } from "../core/carrier.js";
import type { ReadyNetwork } from "../io/config/load.js";
import { StateStore } from "../io/state/store.js";
import { SystemDoor } from "../io/system/door.js";
import { Journal } from "../io/system/journal.js";
import { MemoryMachine } from "../io/system/memory-machine.js";
import { forgetPeer } from "./forget-peer.js";
import { type JoinRequest, Networks } from "./networks.js";
import type { CarrierInput } from "./platform.js";

/** A carrier that does as it is told; its "engine" is the descriptor of the device. */
class TestCarrier implements Carrier {
  onChange = (): void => {};
  onEvent = (_: CarrierEvent): void => {};
  started = false;
  answered = true;
  failStart: VpnError | undefined;
  view_: Partial<CarrierView> = {};
  #settle = { resolve: (): void => {}, reject: (_: unknown): void => {} };
  readonly #ready = new Promise<void>((resolve, reject) => {
    this.#settle = { resolve, reject };
  });
  constructor(
    readonly input: CarrierInput,
    readonly onStop: () => void,
  ) {
    this.#ready.catch(() => {});
  }
  async start(): Promise<void> {
    if (this.failStart) throw this.failStart;
    this.started = true;
  }
  async stop(): Promise<void> {
    this.onStop();
  }
  confirm(): void {
    this.#settle.resolve();
  }
  fail(error: unknown): void {
    this.#settle.reject(error);
  }
  async ready(signal: AbortSignal): Promise<void> {
    await Promise.race([
      this.#ready,
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    ]);
  }
  view(): CarrierView {
    const counters = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} };
    return {
      state: "up",
      servers: [],
      peers: [],
      counters,
      unknownDestinations: [],
      ciphers: [],
      notes: [],
      ...this.view_,
    };
  }
  async forgetPeer(): Promise<boolean> {
    return false;
  }
  async ping(): Promise<number> {
    return 0.001;
  }
}

let root = "";
let machine = new MemoryMachine();
let carriers: TestCarrier[] = [];
let whenMade: (carrier: TestCarrier) => void = (carrier) => carrier.confirm();
let sockets = 0;
let nextPort = 40_000;
let taken: { port: number; family: number }[] = [];
let open: Networks[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vd-networks-"));
  machine = new MemoryMachine();
  carriers = [];
  whenMade = (carrier) => carrier.confirm();
  sockets = 0;
  nextPort = 40_000;
  taken = [];
  open = [];
});
afterEach(async () => {
  for (const networks of open) await networks.stop();
  rmSync(root, { recursive: true });
});

async function newNetworks(): Promise<Networks> {
  const store = new StateStore(root);
  await store.open();
  const log = pino({ level: "silent" });
  const journal = new Journal(join(root, "journal.json"), { bootId: "b", netns: "n" });
  const networks = new Networks(
    {
      door: new SystemDoor({ executor: machine, journal, log }),
      store,
      platform: {
        makeSocket: ({ family, port }) => {
          const bound = port === 0 ? ++nextPort : port;
          if (taken.some((one) => one.port === bound && one.family === family)) {
            throw Object.assign(new Error("taken"), { code: "EADDRINUSE" });
          }
          sockets++;
          return { fd: 1000 + sockets, port: bound };
        },
        closeFd: (fd) => {
          if (fd > 1000) sockets--;
          else machine.closeFd(fd);
        },
        createPacketPort: () => assert.fail("not for a mesh"),
        createMeshEngine: () => {
          throw new Error("not in this test");
        },
      },
      makeCarrier: (input) => {
        // Its engine would own the device's descriptor.
        const { device } = input.config;
        const carrier = new TestCarrier(input, () =>
          machine.closeFd(machine.links.get(device)?.ifindex ?? -1),
        );
        carriers.push(carrier);
        whenMade(carrier);
        return carrier;
      },
      threads: 1,
      log,
      now: () => 1000,
    },
    { random: (bytes) => new Uint8Array(bytes).fill(3), hostName: "alpha" },
  );
  open.push(networks);
  return networks;
}

const psk = Buffer.from(Buffer.alloc(32, 5).toString("hex"));
const request = (
  parts: Partial<JoinRequest["options"]> = {},
  more: Partial<JoinRequest> = {},
): JoinRequest => ({
  options: {
    network: "",
    iex: ["h:1"],
    virtualIp: "10.0.0.10/16",
    badger: false,
    listenPort: 0,
    device: "",
    mtu: 0,
    nodeName: "",
    ...parts,
  },
  psk,
  timeoutMs: 5_000,
  expectPeers: 0,
  noWait: false,
  dryRun: false,
  ...more,
});
const never = new AbortController().signal;
const fails =
  (code: string, message = /./) =>
  (error: unknown) =>
    error instanceof VpnError &&
    error.code === code &&
    message.test(error.message) &&
    error.hint !== undefined;
const stored = (): string[] => readdirSync(join(root, "networks"));

/** Nothing of a network is on the machine or on the disk. */
function assertNothingLeft(): void {
  // The test's carrier does not own the device as the engine would.
  assert.deepEqual(stored(), []);
  assert.ok(!existsSync(join(root, "journal.json")));
  assert.deepEqual(readdirSync(join(root, "secrets")), []);
}

test("a join brings up the device, is confirmed, and is kept", async () => {
  const networks = await newNetworks();
  const { network, alreadyJoined } = await networks.join(request(), never);
  assert.equal(alreadyJoined, false);
  assert.equal(network.name, "default");
  assert.deepEqual(machine.links.get("vpn-default")?.addresses, ["10.0.0.10/16"]);
  assert.equal(machine.links.get("vpn-default")?.mtu, 1400);
  assert.deepEqual(stored(), ["default.json"]);
  assert.ok(network.config.port > 0);
});

test("the same join again says so, another one is a conflict", async () => {
  const networks = await newNetworks();
  await networks.join(request(), never);
  assert.equal((await networks.join(request(), never)).alreadyJoined, true);
  await assert.rejects(networks.join(request({ mtu: 1300 }), never), fails("conflict", /--mtu/));
  await assert.rejects(
    networks.join(request({}, { psk: Buffer.from("6".repeat(64)) }), never),
    fails("conflict", /PSK/),
  );
  assert.equal(carriers.length, 1);
});

test("a silent server ends a join with nothing left", async () => {
  whenMade = () => {};
  const networks = await newNetworks();
  await assert.rejects(networks.join(request({}, { timeoutMs: 30 }), never), fails("no-reply", /h:1/));
  assertNothingLeft();
  assert.deepEqual(networks.names(), []);
});

test("a conflict ends a join with nothing left", async () => {
  const conflict = new VpnError("conflict", 'virtual IP is held by "beta"', { hint: "another --vip" });
  whenMade = (carrier) => carrier.fail(conflict);
  const networks = await newNetworks();
  await assert.rejects(networks.join(request(), never), fails("conflict", /beta/));
  assertNothingLeft();
});

test("a caller that goes away joins nothing", async () => {
  const away = new AbortController();
  whenMade = () => away.abort(new VpnError("cancelled", "gone", { hint: "-" }));
  const networks = await newNetworks();
  await assert.rejects(networks.join(request(), away.signal), fails("cancelled"));
  assertNothingLeft();
});

test("a carrier that does not start leaves nothing", async () => {
  whenMade = (carrier) => {
    carrier.failStart = new VpnError("failed", "no engine", { hint: "-" });
  };
  const networks = await newNetworks();
  await assert.rejects(networks.join(request(), never), fails("failed", /no engine/));
  assertNothingLeft();
  assert.equal(machine.links.size, 0);
  assert.equal(sockets, 0);
});

test("a disk that takes nothing fails the join with nothing left", async () => {
  const networks = await newNetworks();
  mkdirSync(join(root, "networks/default.json"));
  await assert.rejects(
    networks.join(request(), never),
    (error) => error instanceof VpnError && /cannot write/.test(error.message),
  );
  rmSync(join(root, "networks/default.json"), { recursive: true });
  assertNothingLeft();
  assert.deepEqual(networks.names(), []);
});

test("a dry run prints the plan and changes nothing", async () => {
  const networks = await newNetworks();
  const { plan } = await networks.join(request({}, { dryRun: true }), never);
  assert.deepEqual(plan, [
    "create device vpn-default (tun)",
    "set vpn-default up, mtu 1400",
    "add address 10.0.0.10/16 to vpn-default",
  ]);
  assertNothingLeft();
  assert.equal(machine.links.size, 0);
});

test("prefixes of other networks and of the machine are refused", async () => {
  machine.links.set("eth0", {
    name: "eth0",
    ifindex: 2,
    mtu: 1500,
    up: true,
    type: "veth",
    addresses: ["192.168.1.5/24"],
  });
  const networks = await newNetworks();
  await networks.join(request(), never);
  await assert.rejects(
    networks.join(request({ network: "b", virtualIp: "10.0.9.1/24" }), never),
    fails("conflict", /network default/),
  );
  await assert.rejects(
    networks.join(request({ network: "b", virtualIp: "192.168.0.1/16" }), never),
    fails("conflict", /eth0/),
  );
  await assert.rejects(
    networks.join(request({ network: "b", virtualIp: "10.5.0.1/24", device: "vpn-default" }), never),
    fails("conflict"),
  );
  assert.deepEqual(stored(), ["default.json"]);
});

test("two joins of overlapping prefixes at once: one wins", async () => {
  const networks = await newNetworks();
  const results = await Promise.allSettled([
    networks.join(request({ network: "a" }), never),
    networks.join(request({ network: "b" }), never),
  ]);
  assert.deepEqual(
    results.map((result) => result.status),
    ["fulfilled", "rejected"],
  );
});

test("the same join twice at once: joined once", async () => {
  const networks = await newNetworks();
  const results = await Promise.all([networks.join(request(), never), networks.join(request(), never)]);
  assert.deepEqual(results.map((result) => result.alreadyJoined).sort(), [false, true]);
  assert.equal(carriers.length, 1);
});

test("a port that is taken: a chosen one moves, an asked one is refused", async () => {
  taken = [{ port: 40_001, family: 6 }];
  const networks = await newNetworks();
  const { network } = await networks.join(request(), never);
  assert.notEqual(network.config.port, 40_001);
  taken = [{ port: 5000, family: 4 }];
  await assert.rejects(
    networks.join(request({ network: "b", virtualIp: "10.9.0.1/24", listenPort: 5000 }), never),
    fails("conflict", /5000/),
  );
});

test("down is kept over a restart, up networks come back", async () => {
  const first = await newNetworks();
  await first.join(request(), never);
  await first.join(request({ network: "b", virtualIp: "10.9.0.1/24" }), never);
  await first.down("b", false, false);
  assert.deepEqual((await first.down("b", false, false)).names, ["b"]);
  await first.stop();
  machine = new MemoryMachine();
  carriers = [];
  whenMade = () => {};
  const second = await newNetworks();
  await second.restore();
  assert.deepEqual(
    second.all().map((one) => [one.name, one.life.state]),
    [
      ["b", "down"],
      ["default", "running"],
    ],
  );
  assert.equal((await second.up("b", false)).alreadyUp, false);
  assert.equal((await second.up("b", false)).alreadyUp, true);
  assert.equal(carriers.length, 2);
});

test("without waiting a join is kept before any server answered", async () => {
  whenMade = () => {};
  const networks = await newNetworks();
  await networks.join(request({}, { noWait: true }), never);
  assert.deepEqual(stored(), ["default.json"]);
  carriers[0]?.fail(new VpnError("conflict", "held by another"));
  for await (const _ of networks.feed.ticks(AbortSignal.timeout(5_000), 0, 1)) {
    if (networks.get("").life.state === "error") break;
  }
  const { life } = networks.get("");
  assert.equal(life.state === "error" && life.reason.code, "conflict");
});

test("expected peers that do not come: joined all the same, exit 8", async () => {
  const networks = await newNetworks();
  await assert.rejects(
    networks.join(request({}, { expectPeers: 1, timeoutMs: 30 }), never),
    fails("no-reply", /0 of 1/),
  );
  assert.deepEqual(stored(), ["default.json"]);
});

test("what a carrier learns is kept, but not after the network was left", async () => {
  const networks = await newNetworks();
  await networks.join(request(), never);
  carriers[0]?.input.onLearned({ pins: [1] });
  await networks.leave("", false);
  carriers[0]?.input.onLearned({ pins: [2] });
  await networks.stop();
  assert.deepEqual(readdirSync(join(root, "peers")), []);
  assert.deepEqual(networks.names(), []);
});

test("a pin is forgotten while its network is down, and of a node that is not listed", async () => {
  const pin = (address: string) => ({ address, nodeKey: "ab".repeat(32), since: 1, lastSeen: 2 });
  const networks = await newNetworks();
  const { network } = await networks.join(request(), never);
  carriers[0]?.input.onLearned({ pins: [pin("10.0.0.2"), pin("10.0.0.3")] });
  const unlisted = await forgetPeer(networks, "", "10.0.0.2", true);
  assert.deepEqual(unlisted, { network: "default", virtualIp: "10.0.0.2", hadPin: true });
  await networks.down("", false, false);
  assert.equal((await forgetPeer(networks, "default", "10.0.0.2", false)).hadPin, true);
  assert.deepEqual(network.pinned(), ["10.0.0.3"]);
  await assert.rejects(forgetPeer(networks, "", "10.0.0.2", false), { code: "not-found" });
  const again = await newNetworks();
  await again.restore();
  assert.deepEqual(again.get("default").pinned(), ["10.0.0.3"]);
});

test("a damaged network is shown, refuses use, and can be left", async () => {
  const first = await newNetworks();
  await first.join(request(), never);
  await first.stop();
  writeFileSync(join(root, "secrets/default.json"), "{");
  const networks = await newNetworks();
  await networks.restore();
  assert.equal(networks.damaged().length, 1);
  await assert.rejects(networks.join(request(), never), fails("failed", /secrets\/default/));
  assert.throws(() => networks.get(""), fails("failed"));
  await networks.leave("default", false);
  assert.ok(readdirSync(join(root, "secrets")).some((file) => file.startsWith("default.json.damaged-")));
  assert.deepEqual(networks.names(), []);
});

test("stop ends a join that is under way", async () => {
  const networks = await newNetworks();
  let stopped = Promise.resolve();
  whenMade = () => {
    stopped = networks.stop();
  };
  await assert.rejects(networks.join(request(), never), fails("cancelled", /stopping/));
  await stopped;
  assertNothingLeft();
});

const declared = (name: string, vip: string, up = true): ReadyNetwork => ({
  options: request({ network: name, virtualIp: vip }).options,
  pskFile: "/k",
  psk: Buffer.alloc(32, 5),
  up,
  origin: { file: "c.toml", line: 7 },
});

test("a declared network that cannot be kept does not hold up others", async () => {
  const networks = await newNetworks();
  mkdirSync(join(root, "secrets/a.json"));
  await networks.restore([declared("a", "10.1.0.1/16"), declared("b", "10.2.0.1/16")]);
  assert.deepEqual(networks.names(), ["b"]);
  assert.ok(machine.links.has("vpn-b") && !machine.links.has("vpn-a"));
  rmSync(join(root, "secrets/a.json"), { recursive: true });
  const touched = await networks.declared.apply(
    [declared("a", "10.1.0.1/16"), declared("b", "10.2.0.1/16")],
    true,
  );
  assert.deepEqual(touched, ["a"]);
  assert.ok(machine.links.has("vpn-a"));
});

test("a change that cannot be kept leaves the network as it was", async () => {
  const networks = await newNetworks();
  await networks.restore([declared("a", "10.1.0.1/16")]);
  rmSync(join(root, "networks/a.json"));
  mkdirSync(join(root, "networks/a.json"));
  assert.deepEqual(await networks.declared.apply([declared("a", "10.9.0.1/16")], true), []);
  assert.deepEqual(machine.links.get("vpn-a")?.addresses, ["10.1.0.1/16"]);
  assert.equal(networks.get("a").config.asked.virtualIp, "10.1.0.1/16");
  assert.equal(networks.get("a").life.state, "running");
});

test("down holds over a reload; up in the config counts when it changes, and at a start", async () => {
  const networks = await newNetworks();
  await networks.restore([declared("a", "10.1.0.1/16")]);
  await networks.down("a", false, false);
  assert.deepEqual(await networks.declared.apply([declared("a", "10.1.0.1/16")], true), []);
  assert.equal(networks.get("a").life.state, "down");
  await networks.declared.apply([declared("a", "10.1.0.1/16", false)], true);
  await networks.declared.apply([declared("a", "10.1.0.1/16", true)], true);
  assert.equal(networks.get("a").life.state, "running");
  await networks.down("a", false, false);
  await networks.stop();
  machine = new MemoryMachine();
  const again = await newNetworks();
  await again.restore([declared("a", "10.1.0.1/16")]);
  assert.equal(again.get("a").life.state, "running");
});

test("the config takes over while a join by hand of that label fails", async () => {
  whenMade = () => {};
  const networks = await newNetworks();
  const joining = networks.join(request({ network: "a" }, { timeoutMs: 30 }), never);
  const applied = networks.declared.apply([declared("a", "10.1.0.1/16")], true);
  await assert.rejects(joining, fails("no-reply"));
  assert.deepEqual(await applied, ["a"]);
  assert.equal(networks.get("a").config.declared, true);
});

test("a declared network can only be left in the config, which the error names", async () => {
  const networks = await newNetworks();
  await networks.restore([declared("a", "10.1.0.1/16")]);
  await assert.rejects(networks.leave("a", false), fails("failed", /c\.toml:7/));
  await assert.rejects(
    networks.join(request({ network: "a", virtualIp: "10.3.0.1/16" }), never),
    fails("conflict", /c\.toml:7/),
  );
});

/** What is told of networks from now on, in short. */
function tellings(networks: Networks): string[] {
  const told: string[] = [];
  networks.onEvent = (network, { type, peer, state, reason }) =>
    told.push([network, type, peer?.virtualIp, state, reason?.code].filter(Boolean).join(" "));
  return told;
}

test("the life of a network is told in order, each thing once, however fast it goes", async () => {
  const networks = await newNetworks();
  const told = tellings(networks);
  await networks.join(request(), never);
  const say = carriers[0]?.onEvent;
  say?.({ type: "up", state: "up", message: "" });
  say?.({ type: "up", peer: { virtualIp: "10.0.0.2" }, state: "up", message: "" });
  await networks.down("default", false, false);
  await networks.up("default", false);
  carriers[1]?.onEvent({ type: "up", state: "up", message: "" });
  await networks.leave("default", false);
  assert.deepEqual(told, [
    "default up up",
    "default up 10.0.0.2 up",
    "default down down",
    "default up up",
    "default down down",
    "default down left left",
  ]);
});

test("a join that fails is not told, a network that fails is told once", async () => {
  whenMade = (carrier) => carrier.fail(new VpnError("conflict", "held", { hint: "x" }));
  const networks = await newNetworks();
  const told = tellings(networks);
  await assert.rejects(networks.join(request(), never), fails("conflict"));
  assert.deepEqual(told, []);
  whenMade = () => {};
  await networks.join(request({}, { noWait: true }), never);
  const last = carriers.at(-1);
  const reason = { code: "conflict", message: "held" };
  last?.onEvent({ type: "error", state: "error", reason, message: "" });
  last?.fail(new VpnError("conflict", "held"));
  for await (const _ of networks.feed.ticks(AbortSignal.timeout(5_000), 0, 1)) {
    if (networks.get("").life.state === "error") break;
  }
  assert.deepEqual(told, ["default error error conflict"]);
});
