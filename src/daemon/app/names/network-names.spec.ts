import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { pino } from "pino";
import type { Carrier, CarrierView, PeerView } from "../../core/carrier.js";
import { makeConfig, type NetworkConfig } from "../../core/network/config.js";
import type { ResolvConf } from "../../core/system/resolver-items.js";
import { closeFd, makeSocket } from "../../io/native.js";
import { SystemDoor } from "../../io/system/door.js";
import { Journal } from "../../io/system/journal.js";
import { MemoryMachine } from "../../io/system/memory-machine.js";
import { NameZones } from "./name-zones.js";
import { NetworkNames } from "./network-names.js";

const log = pino({ level: "silent" });
const former: ResolvConf = { type: "file", text: "nameserver 192.0.2.53\n", mode: 0o644, uid: 0, gid: 0 };
const own = "10.9.0.1";
const device = "vpn-home";
const asked = {
  network: "home",
  iex: ["h.example:9944"],
  virtualIp: `${own}/24`,
  badger: false,
  listenPort: 0,
  device: "",
  mtu: 0,
  nodeName: "alice",
};

function carrierWith(...peers: Pick<PeerView, "virtualIp" | "name">[]): Carrier {
  const view = (): CarrierView => ({
    state: "up",
    servers: [],
    peers: peers.map((peer) => ({
      ...peer,
      path: "direct",
      state: "up",
      rxBytes: 0,
      txBytes: 0,
      rxPackets: 0,
      txPackets: 0,
      since: 0,
      foreign: false,
      endpoints: [],
    })),
    counters: { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} },
    unknownDestinations: [],
    ciphers: [],
    notes: [],
  });
  return {
    start: async () => {},
    stop: async () => {},
    ready: async () => {},
    view,
    onChange: () => {},
    onEvent: () => {},
    forgetPeer: async () => false,
    ping: async () => 0,
  };
}

describe("names of a network", () => {
  let root = "";
  let machine: MemoryMachine;
  let door: SystemDoor;
  let config: NetworkConfig;
  let names: NetworkNames;
  /** Why there is no socket to be had. */
  let refusal: string | undefined;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "vd-names-"));
    machine = new MemoryMachine();
    machine.resolvConf = former;
    machine.links.set(device, { name: device, ifindex: 7, mtu: 1400, up: true, type: "tun", addresses: [] });
    const journal = new Journal(join(root, "journal.json"), { bootId: "b", netns: "n" });
    door = new SystemDoor({ executor: machine, journal, log });
    config = makeConfig(asked, "alice", 0);
    refusal = undefined;
    const platform = {
      // The virtual IP is nobody's here; sockets on any port of the loopback do as well.
      makeSocket: (options: { family: 4 | 6; kind: "udp" | "tcp"; port: number }) => {
        if (refusal !== undefined) throw Object.assign(new Error(refusal), { code: refusal });
        const port = options.port === 53 ? 0 : options.port;
        return makeSocket({ ...options, port, address: "127.0.0.1" });
      },
      closeFd,
    };
    const zones = new NameZones();
    names = new NetworkNames({ door, platform, zones, config: () => config, log, onChange: () => {} });
  });
  afterEach(async () => {
    await names.stop();
    assert.equal(machine.resolvConf, former);
    assert.ok(!existsSync(join(root, "journal.json")), "nothing is left to undo");
    rmSync(root, { recursive: true });
  });

  /** Started, and done with what it does in the background. */
  async function started(): Promise<void> {
    names.start(carrierWith({ virtualIp: "10.9.0.2", name: "bob" }));
    await names.through([]);
  }
  const nameserver = (): string => (machine.resolvConf.type === "file" ? machine.resolvConf.text : "");

  it("are answered, and nobody is told where there is nobody to tell", async () => {
    await started();
    const view = names.view();
    assert.deepEqual(view, {
      domain: "home.vpn",
      ownName: "alice.home.vpn",
      server: own,
      state: "on",
      askedBy: "none",
      everything: false,
    });
    assert.equal(machine.resolvConf, former);
  });

  it("are made known to systemd-resolved, and taken back", async () => {
    machine.resolved = new Map();
    await started();
    assert.deepEqual(machine.resolved.get(device), {
      servers: [own],
      domains: ["~home.vpn", "~0.9.10.in-addr.arpa"],
      defaultRoute: false,
    });
    assert.equal(names.view().askedBy, "systemd-resolved");
    await names.through(["10.9.0.2"]);
    assert.deepEqual(machine.resolved.get(device)?.domains.at(-1), "~.");
    await names.stop();
    assert.equal(machine.resolved.size, 0);
    assert.equal(names.view().state, "down");
  });

  it("are all asked here while an exit is used, whichever it is", async () => {
    await started();
    await names.through(["10.9.0.2"]);
    assert.match(nameserver(), /^nameserver 10\.9\.0\.1$/m);
    assert.deepEqual([names.view().askedBy, names.view().everything], ["resolv.conf", true]);
    const done = machine.done.length;
    await names.through(["10.9.0.3"]);
    assert.equal(machine.done.length, done, "another exit changes nothing on the machine");
    await names.through([]);
    assert.equal(machine.resolvConf, former);
    assert.equal(names.view().everything, false);
  });

  it("say so when the resolver cannot be told, and are as before", async () => {
    await started();
    machine.failOn = "resolv.conf";
    await assert.rejects(names.through(["10.9.0.2"]), /refused: resolv\.conf/);
    assert.equal(names.view().state, "on");
    machine.failOn = undefined;
    await names.through(["10.9.0.2"]);
    assert.equal(names.view().everything, true);
  });

  it("have the exit asked directly when the port is taken", async () => {
    refusal = "EADDRINUSE";
    await started();
    assert.equal(names.view().state, "failed");
    assert.match(names.view().reason?.message ?? "", /port 53 of 10\.9\.0\.1 is in use/);
    await names.through(["10.9.0.2"]);
    assert.match(nameserver(), /^nameserver 10\.9\.0\.2$/m);
  });

  it("leave what somebody else has written meanwhile", async () => {
    await started();
    await names.through(["10.9.0.2"]);
    const theirs: ResolvConf = { ...former, text: "nameserver 192.0.2.99\n" };
    machine.resolvConf = theirs;
    await names.through([]);
    assert.equal(machine.resolvConf, theirs);
    machine.resolvConf = former;
  });

  it("are taken again when somebody writes resolv.conf while the exit is used", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    await started();
    await names.through(["10.9.0.2"]);
    const theirs: ResolvConf = { ...former, text: "nameserver 192.0.2.99\n" };
    machine.resolvConf = theirs;
    t.mock.timers.tick(10_000);
    await names.through(["10.9.0.3"]);
    assert.match(nameserver(), /^nameserver 10\.9\.0\.1$/m);
    await names.through([]);
    assert.deepEqual(machine.resolvConf, theirs, "theirs is what was there before");
    machine.resolvConf = former;
  });

  it("are off when they are not wanted, and come when that changes", async () => {
    config = makeConfig({ ...asked, noDns: true }, "alice", 0);
    await started();
    assert.equal(names.view().state, "off");
    await names.through(["10.9.0.2"]);
    assert.equal(machine.resolvConf, former);
    config = makeConfig(asked, "alice", 0);
    await names.renew(carrierWith());
    await names.through(["10.9.0.2"]);
    assert.deepEqual([names.view().state, names.view().everything], ["on", true]);
  });
});
