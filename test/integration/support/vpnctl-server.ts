import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { VpnError } from "../../../src/common/errors.js";
import { DaemonService } from "../../../src/common/gen/vpnd/v1/daemon_pb.js";
import { EventService } from "../../../src/common/gen/vpnd/v1/event_pb.js";
import { ExitNodeService } from "../../../src/common/gen/vpnd/v1/exit_node_pb.js";
import { type AddRuleRequest, FilterService } from "../../../src/common/gen/vpnd/v1/filter_pb.js";
import { GatewayService } from "../../../src/common/gen/vpnd/v1/gateway_pb.js";
import { KeyService } from "../../../src/common/gen/vpnd/v1/key_pb.js";
import { KillSwitchService } from "../../../src/common/gen/vpnd/v1/kill_switch_pb.js";
import { LogService } from "../../../src/common/gen/vpnd/v1/log_pb.js";
import { MetricsService } from "../../../src/common/gen/vpnd/v1/metrics_pb.js";
import { type JoinRequest, NetworkService } from "../../../src/common/gen/vpnd/v1/network_pb.js";
import { PeerService } from "../../../src/common/gen/vpnd/v1/peer_pb.js";
import { RouteService } from "../../../src/common/gen/vpnd/v1/route_pb.js";
import { SettingsService } from "../../../src/common/gen/vpnd/v1/settings_pb.js";
import { StatsService } from "../../../src/common/gen/vpnd/v1/stats_pb.js";
import { SystemService } from "../../../src/common/gen/vpnd/v1/system_pb.js";
import { type CallContext, handlers, type ServiceImpl } from "../../../src/common/grpc/server.js";
import { serviceDefinition } from "../../../src/common/grpc/service-definition.js";
import { cannedGateway } from "./canned-gateway.js";
import { cannedLog } from "./canned-log.js";

const at = (seconds: number): { seconds: bigint; nanos: number } => ({ seconds: BigInt(seconds), nanos: 0 });
/** Time of all canned answers, seconds since 1970. */
export const cannedTime = 1_800_000_000;

export const home = {
  name: "home",
  carrier: "mesh",
  state: "up",
  virtualIp: "10.0.0.1/16",
  device: "vpn-home",
  mtu: 1400,
  nodeName: "a",
  peersUp: 1,
  peersKnown: 2,
  pskFingerprint: "abcd2345",
  since: at(cannedTime - 63),
  iex: ["192.0.2.1:9944"],
};

const nas = {
  virtualIp: "10.0.0.2",
  name: "nas",
  path: "direct",
  state: "up",
  endpoint: "192.0.2.9:4000",
  rttSeconds: 0.0123,
  rxBytes: 1_258_291n,
  txBytes: 900n,
  rxPackets: 1000n,
  txPackets: 9n,
  lastHandshake: at(cannedTime - 30),
  since: at(cannedTime - 30),
  cipher: "AES-128-GCM",
  nodeKey: "00ff",
};

const stranger = {
  virtualIp: "10.0.0.3",
  name: "evil\u001b[2J",
  path: "none",
  state: "refused",
  reason: { code: "wrong-psk", message: "the peer has another key" },
};

const notFound = (peer: string): VpnError =>
  new VpnError("not-found", `nobody is called ${peer}`, { hint: "see who is there: vpnctl peers" });

function untilAborted({ signal }: CallContext): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** A server on a Unix socket with canned answers; `-n NAME` picks the unusual ones. */
export class CannedServer {
  readonly folder = mkdtempSync(join(tmpdir(), "vpnctl-test-"));
  readonly socket = join(this.folder, "s");
  lastJoin: JoinRequest | undefined;
  lastRule: AddRuleRequest | undefined;
  version = "0.1.0";
  readonly #server = new Server();

  async start(): Promise<void> {
    this.#server.addService(serviceDefinition(DaemonService), handlers(DaemonService, this.#daemon));
    this.#server.addService(serviceDefinition(NetworkService), handlers(NetworkService, this.#networks));
    this.#server.addService(serviceDefinition(PeerService), handlers(PeerService, this.#peers));
    this.#server.addService(serviceDefinition(StatsService), handlers(StatsService, this.#stats));
    this.#server.addService(serviceDefinition(KeyService), handlers(KeyService, this.#keys));
    this.#server.addService(serviceDefinition(GatewayService), handlers(GatewayService, cannedGateway));
    this.#server.addService(serviceDefinition(LogService), handlers(LogService, cannedLog));
    this.#server.addService(serviceDefinition(RouteService), handlers(RouteService, this.#routes));
    this.#server.addService(serviceDefinition(FilterService), handlers(FilterService, this.#filter));
    this.#server.addService(serviceDefinition(SettingsService), handlers(SettingsService, this.#settings));
    this.#server.addService(serviceDefinition(EventService), handlers(EventService, this.#events));
    this.#server.addService(
      serviceDefinition(KillSwitchService),
      handlers(KillSwitchService, this.#killSwitch),
    );
    this.#server.addService(serviceDefinition(ExitNodeService), handlers(ExitNodeService, this.#exitNode));
    this.#server.addService(serviceDefinition(MetricsService), handlers(MetricsService, this.#metrics));
    this.#server.addService(serviceDefinition(SystemService), handlers(SystemService, this.#system));
    await new Promise<void>((resolve, reject) =>
      this.#server.bindAsync(`unix:${this.socket}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    );
  }

  stop(): void {
    this.#server.forceShutdown();
    rmSync(this.folder, { recursive: true });
  }

  readonly #daemon: ServiceImpl<(typeof DaemonService)["method"]> = {
    getStatus: async () => ({
      version: this.version,
      pid: 42,
      started: at(cannedTime - 7200),
      stateDir: "/var/lib/vpnd",
      networks: [
        home,
        { ...home, name: "lab", state: "connecting", reason: { code: "timeout", message: "" } },
      ],
      killSwitch: this.killSwitch,
    }),
    getVersion: async () => ({ version: this.version, nodeVersion: "20.0.0", opensslVersion: "3.0.0" }),
  };

  readonly #settings: ServiceImpl<(typeof SettingsService)["method"]> = {
    changeSettings: async ({ network, mtu, dryRun }) => {
      if (mtu === 1400) return { network: { ...home, name: network || "home" }, effect: "none" };
      const plan = ["change --mtu from 1400 to 1300", "restart network home: its device is made anew"];
      return {
        network: { ...home, name: network || "home" },
        changes: [{ option: "--mtu", from: "1400", to: "1300" }],
        effect: "restart",
        notes: ["the network was restarted: its device was made anew"],
        plan: dryRun ? plan : [],
      };
    },
  };

  readonly #networks: ServiceImpl<(typeof NetworkService)["method"]> = {
    join: async (request) => {
      this.lastJoin = request;
      if (request.network === "silent")
        throw new VpnError("no-reply", "192.0.2.1:9944 does not answer", { hint: "is iexd running there?" });
      if (request.network === "taken") throw new VpnError("conflict", "10.0.0.1 is held by b");
      return {
        network: { ...home, name: request.network || "default" },
        alreadyJoined: request.network === "again",
        plan: request.dryRun ? ["add device vpn-home", "add address 10.0.0.1/16 to vpn-home"] : [],
      };
    },
    leave: async ({ network, dryRun }) => {
      if (network === "")
        throw new VpnError("ambiguous", "there are several networks", { hint: "name one: home, lab" });
      if (network === "nowhere") throw new VpnError("not-configured", "nowhere is not joined");
      return { network, plan: dryRun ? ["remove device vpn-home"] : [] };
    },
    up: async ({ network }) => ({ network: { ...home, name: network }, alreadyUp: true }),
    down: async ({ all, network }) => ({ networks: all ? ["home", "lab"] : [network] }),
    listNetworks: async () => ({ networks: [home] }),
    getNetwork: async ({ network }) => ({
      network: { ...home, name: network || "home" },
      details: {
        servers: [{ address: "192.0.2.1:9944", state: "up", lastHeardSeconds: 2 }],
        listenPort: 4000,
        threads: 1,
        ciphers: ["AES-128-GCM"],
        crypto: "OpenSSL 3.0.15",
        publicEndpoint: "198.51.100.1:4000",
        nodeKey: "aa",
        unknownDestinations: [{ address: "10.0.9.9", packets: 3n }],
      },
    }),
  };

  readonly #peers: ServiceImpl<(typeof PeerService)["method"]> = {
    listPeers: async ({ network }, context) => {
      if (network === "hang") await untilAborted(context);
      return { networks: peerLists(network) };
    },
    async *watchPeers({ network }, context) {
      yield { networks: peerLists(network) };
      if (network !== "once") await untilAborted(context);
    },
    getPeer: async ({ peer }) => {
      if (peer === "twin")
        throw new VpnError("ambiguous", "several peers are called twin", {
          hint: "name one: twin.home, twin.lab",
        });
      if (peer !== "nas") throw notFound(peer);
      return {
        network: "home",
        peer: nas,
        endpoints: ["192.0.2.9:4000"],
        pinnedSince: at(cannedTime - 90_000),
      };
    },
    removePeer: async ({ peer }) => {
      if (peer !== "nas") throw notFound(peer);
      return { network: "home", virtualIp: "10.0.0.2", hadPin: true };
    },
    async *ping({ peer, count }) {
      for (let sequence = 1; sequence <= count; sequence++) {
        const pong = { network: "home", virtualIp: "10.0.0.2", name: peer, sequence };
        yield peer === "deaf"
          ? pong
          : { ...pong, rttSeconds: 0.01, path: "direct", endpoint: "192.0.2.9:4000" };
      }
    },
  };

  readonly #stats: ServiceImpl<(typeof StatsService)["method"]> = {
    getStats: async () => ({ networks: [statsOf(undefined)] }),
    async *watchStats() {
      yield { networks: [statsOf(undefined)] };
      yield { networks: [statsOf(1000)] };
      yield { networks: [statsOf(4000)] };
    },
  };

  readonly #system: ServiceImpl<(typeof SystemService)["method"]> = {
    getPlan: async ({ network }) => ({
      networks: [
        {
          network: network || "home",
          state: "up",
          steps: [
            {
              kind: "create-tun",
              description: "create device vpn-home (tun)",
              undo: "remove device vpn-home",
              state: "applied",
            },
            {
              kind: "add-address",
              description: "add address 10.0.0.1/16 to vpn-home",
              undo: "remove address 10.0.0.1/16 from vpn-home",
              state: "missing",
            },
          ],
        },
        {
          network: "lab",
          state: "error",
          obstacle: { code: "conflict", message: "device vpn-lab exists already" },
        },
      ],
      killSwitch: this.killSwitch,
    }),
    getFootprint: async () => ({
      traces: [
        { kind: "device", name: "vpn-home", network: "home", detail: "tun, up, mtu 1400", present: true },
        { kind: "address", name: "10.0.0.1/16", network: "home", detail: "dev vpn-home", present: false },
        { kind: "socket", name: "unix /run/vpnd/vpnd.sock", present: true },
      ],
      moreFiles: 2,
    }),
  };

  readonly #events: ServiceImpl<(typeof EventService)["method"]> = {
    listEvents: async ({ network }) => ({ events: network === "empty" ? [] : cannedEvents }),
    async *watchEvents() {
      yield { events: cannedEvents.slice(0, 1) };
      yield { events: cannedEvents.slice(1) };
    },
  };

  readonly #filter: ServiceImpl<(typeof FilterService)["method"]> = {
    listRules: async ({ network }) => ({
      networks: [network === "empty" ? { network, allowOthers: true } : cannedRules],
    }),
    addRule: async (request) => {
      this.lastRule = request;
      const { dryRun } = request;
      const plan = dryRun ? ["add rule 1: allow tcp/22"] : [];
      return { network: "home", rules: cannedRules, plan, position: 1, notes: ["a remark"] };
    },
    removeRule: async ({ position }) => {
      if (position > 2) throw new VpnError("not-found", `there is no rule ${position}`);
      return { network: "home", rules: cannedRules, removed: cannedRules.rules[0] };
    },
    clearRules: async ({ dryRun }) => ({
      network: "home",
      rules: cannedRules,
      plan: dryRun ? ["remove rule 1: allow tcp/22"] : [],
    }),
    setDefault: async ({ allow }) => ({ network: "home", rules: { ...cannedRules, allowOthers: allow } }),
  };

  readonly #metrics: ServiceImpl<(typeof MetricsService)["method"]> = {
    getMetrics: async () => ({ contentType: "text/plain; version=0.0.4", text: "vpnd_networks 1\n" }),
  };

  /** Undefined: off. */
  killSwitch: (typeof cannedSwitch & { allowed: object[] }) | undefined;

  readonly #killSwitch: ServiceImpl<(typeof KillSwitchService)["method"]> = {
    killSwitchOn: async ({ allow, allowLan, dryRun }) => {
      const allowed = allow.map((name) => ({ name, endpoints: ["192.0.2.5:443"] }));
      const now = { ...cannedSwitch, allowLan, allowed };
      if (!dryRun) this.killSwitch = now;
      const plan = dryRun ? ["add nftables table inet vpnd_kill_switch"] : [];
      return { killSwitch: now, notes: ["a remark"], plan };
    },
    killSwitchOff: async ({ dryRun }) => {
      const plan = dryRun ? ["remove nftables table inet vpnd_kill_switch"] : [];
      if (!dryRun) this.killSwitch = undefined;
      return { killSwitch: this.killSwitch ?? { table: cannedSwitch.table }, plan };
    },
    getKillSwitch: async () => ({ killSwitch: this.killSwitch ?? { table: cannedSwitch.table } }),
  };

  readonly #routes: ServiceImpl<(typeof RouteService)["method"]> = {
    listRoutes: async () => ({ networks: [cannedRoutes] }),
    offerRoutes: async ({ dryRun }) => changedRoutes(dryRun),
    withdrawRoutes: async ({ dryRun }) => changedRoutes(dryRun),
    acceptRoutes: async ({ dryRun }) => changedRoutes(dryRun),
    rejectRoutes: async ({ dryRun }) => ({ ...changedRoutes(dryRun), already: true }),
  };

  readonly #exitNode: ServiceImpl<(typeof ExitNodeService)["method"]> = {
    listExitNodes: async () => ({ networks: [cannedExits], use: cannedUse }),
    offerExitNode: async ({ dryRun }) => changedRoutes(dryRun),
    withdrawExitNode: async ({ dryRun }) => ({ ...changedRoutes(dryRun), already: true }),
    useExitNode: async ({ dryRun }) => ({ ...changedRoutes(dryRun), ...(!dryRun && { use: cannedUse }) }),
    stopExitNode: async ({ dryRun }) => ({ ...changedRoutes(dryRun) }),
  };

  readonly #keys: ServiceImpl<(typeof KeyService)["method"]> = {
    getPskStatus: async () => ({
      networks: [
        { network: "home", epochs: [{ fingerprint: "abcd2345", since: at(cannedTime - 3600), peers: 1 }] },
      ],
    }),
    setPsk: async ({ network, psk, graceSeconds, dryRun }) => {
      const epoch = { fingerprint: `bytes${psk.length}`, since: at(cannedTime) };
      const former = {
        fingerprint: "abcd2345",
        since: at(cannedTime - 3600),
        until: at(cannedTime + graceSeconds),
        peers: 1,
        users: [{ virtualIp: "10.0.0.20", name: "beta" }],
      };
      return {
        psk: { network: network || "home", epochs: [epoch, former] },
        plan: dryRun ? ["prefer another PSK"] : [],
      };
    },
  };
}

/** A kill switch that is on. */
const cannedSwitch = {
  on: true,
  inForce: true,
  table: "inet vpnd_kill_switch",
  since: at(cannedTime - 60),
  devices: ["vpn-home"],
  through: ["tunnels: vpn-home", "loopback, DHCP, neighbour discovery"],
};

const changedRoutes = (dryRun: boolean) => ({
  network: "home",
  notes: ["a remark"],
  plan: dryRun ? ["add route 10.9.0.0/24 over vpn-home"] : [],
});

const cannedRoutes = {
  network: "home",
  offers: [
    { prefix: "192.168.1.0/24", as: "10.8.0.0/24", state: "offered", devices: ["eth0"] },
    { prefix: "172.20.0.0/16", state: "unreachable", reason: { code: "unreachable", message: "no route" } },
  ],
  routes: [
    { prefix: "10.9.0.0/24", virtualIp: "10.0.0.2", name: "nas", state: "active" },
    {
      prefix: "192.168.1.0/24",
      virtualIp: "10.0.0.3",
      state: "shadowed",
      reason: { code: "shadowed", message: "192.168.1.0/24 is attached here" },
    },
  ],
  accepted: [{ virtualIp: "10.0.0.2", name: "nas" }, { prefixes: ["10.0.0.0/8"] }],
  rejected: [{ virtualIp: "10.0.0.3", prefixes: ["10.7.0.0/24"] }],
};

const cannedRules = {
  network: "home",
  allowOthers: false,
  rules: [
    {
      allow: true,
      services: ["tcp/22", "icmp"],
      from: [{ virtualIp: "10.0.0.2", name: "nas" }, { name: "carol" }],
      text: "allow tcp/22 icmp from nas (10.0.0.2), carol",
    },
    { allow: false, services: ["udp"], from: [], text: "deny udp" },
  ],
  filtered: 7n,
};

const cannedExit = {
  virtualIp: "10.0.0.2",
  name: "nas",
  state: "active",
  ipv4: true,
  ipv6: true,
  seenAs: ["192.0.2.9", "2001:db8::9"],
};

const cannedUse = {
  network: "home",
  peers: [{ virtualIp: "10.0.0.2", name: "nas" }, { virtualIp: "10.0.0.3" }],
  since: at(cannedTime - 60),
  active: cannedExit,
};

const cannedExits = {
  network: "home",
  offer: {
    state: "offered",
    ipv4: true,
    withoutIpv6: "this machine does not forward IPv6",
    clients: [{ virtualIp: "10.0.0.3" }],
    devices: ["eth0"],
  },
  exitNodes: [cannedExit, { virtualIp: "10.0.0.3", state: "offline" }],
};

const cannedEvents = [
  { time: at(cannedTime - 60), type: "up", network: "home", state: "up", message: "network is up" },
  {
    time: at(cannedTime - 5),
    type: "down",
    network: "home",
    peer: { virtualIp: "10.0.0.2", name: "nas" },
    state: "connecting",
    reason: { code: "timeout", message: "the peer stopped answering" },
    path: "direct",
    endpoint: "192.0.2.9:4000",
    message: "nas (10.0.0.2) is connecting: \u001b[2Jthe peer stopped answering",
  },
];

function peerLists(network: string): object[] {
  const self = {
    virtualIp: "10.0.0.1/16",
    name: "a",
    device: "vpn-home",
    pskFingerprint: "abcd2345",
    publicEndpoint: "198.51.100.1:4000",
    state: "up",
  };
  if (network === "empty") return [{ network, self, peers: [], notes: [] }];
  if (network === "connecting") {
    const reason = { code: "timeout", message: "no answer" };
    return [{ network, self: { ...self, state: "connecting", reason }, peers: [], notes: [] }];
  }
  const list = { network: "home", self, peers: [nas, stranger], notes: ["a remark"] };
  return network === "" || network === "once" ? [list] : [list, { ...list, network: "lab", peers: [] }];
}

function statsOf(rate: number | undefined): object {
  const rates = rate && {
    rxBytesPerSecond: rate,
    txBytesPerSecond: 0,
    rxPacketsPerSecond: 1,
    txPacketsPerSecond: 0,
  };
  const counters = { rxBytes: 2048n, txBytes: 0n, rxPackets: 2n, txPackets: 0n };
  return {
    network: "home",
    time: at(cannedTime),
    ...counters,
    drops: { replay: 2n, "no-peer": 1n },
    ...(rates && { rates }),
    peers: [
      { virtualIp: "10.0.0.2", name: "nas", path: "direct", state: "up", ...counters, rttSeconds: 0.01 },
    ],
  };
}
