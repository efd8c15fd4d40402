/** Networks on a machine in memory, with carriers that do as a test tells them. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "node:test";
import { pino } from "pino";
import { VpnError } from "../../common/errors.js";
import type { Carrier, CarrierEvent, CarrierView } from "../core/carrier.js";
import { StateStore } from "../io/state/store.js";
import { SystemDoor } from "../io/system/door.js";
import { Journal } from "../io/system/journal.js";
import { MemoryMachine } from "../io/system/memory-machine.js";
import { type JoinRequest, Networks } from "./networks.js";
import type { CarrierInput, Platform } from "./platform.js";

/** A carrier that does as it is told. */
class TestCarrier implements Carrier {
  onChange = (): void => {};
  onEvent = (_: CarrierEvent): void => {};
  failStart: VpnError | undefined;
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
    const nothing = { servers: [], peers: [], unknownDestinations: [], ciphers: [], notes: [] };
    return { state: "up", counters, ...nothing };
  }
  async forgetPeer(): Promise<boolean> {
    return false;
  }
  async ping(): Promise<number> {
    return 0.001;
  }
}

/** Anew for each test. */
export class NetworksBench {
  root = "";
  machine = new MemoryMachine();
  carriers: TestCarrier[] = [];
  /** What becomes of each new carrier. */
  whenMade: (carrier: TestCarrier) => void = () => {};
  /** Sockets that are open. */
  sockets = 0;
  /** UDP ports that other programs have. */
  taken: { port: number; family: number }[] = [];
  #nextPort = 0;
  #open: Networks[] = [];

  begin(): void {
    this.root = mkdtempSync(join(tmpdir(), "vd-networks-"));
    this.whenMade = (carrier) => carrier.confirm();
    this.sockets = 0;
    this.taken = [];
    this.#nextPort = 40_000;
    this.#open = [];
    this.reboot();
  }

  async end(): Promise<void> {
    for (const networks of this.#open) await networks.stop();
    rmSync(this.root, { recursive: true });
  }

  /** The machine forgets all but its disk. */
  reboot(): void {
    this.machine = new MemoryMachine();
    this.carriers = [];
  }

  async networks(): Promise<Networks> {
    const store = new StateStore(this.root);
    await store.open();
    const log = pino({ level: "silent" });
    const journal = new Journal(join(this.root, "journal.json"), { bootId: "b", netns: "n" });
    const networks = new Networks(
      {
        door: new SystemDoor({ executor: this.machine, journal, log }),
        store,
        platform: this.#platform(),
        makeCarrier: (input) => this.#makeCarrier(input),
        threads: 1,
        log,
        now: () => 1000,
      },
      { random: (bytes) => new Uint8Array(bytes).fill(3), hostName: "alpha" },
    );
    this.#open.push(networks);
    return networks;
  }

  /** Networks that are on the disk. */
  stored(): string[] {
    return readdirSync(join(this.root, "networks"));
  }

  /** Nothing of a network is in the journal or on the disk. */
  assertNothingLeft(): void {
    assert.deepEqual(this.stored(), []);
    assert.ok(!existsSync(join(this.root, "journal.json")));
    assert.deepEqual(readdirSync(join(this.root, "secrets")), []);
  }

  #platform(): Platform {
    return {
      makeSocket: ({ family, port }) => {
        const bound = port === 0 ? ++this.#nextPort : port;
        if (this.taken.some((one) => one.port === bound && one.family === family)) {
          throw Object.assign(new Error("taken"), { code: "EADDRINUSE" });
        }
        this.sockets++;
        return { fd: 1000 + this.sockets, port: bound };
      },
      closeFd: (fd) => {
        if (fd > 1000) this.sockets--;
        else this.machine.closeFd(fd);
      },
      createPacketPort: () => assert.fail("not for a mesh"),
      createMeshEngine: () => assert.fail("a test's carrier has no engine"),
    };
  }

  #makeCarrier(input: CarrierInput): TestCarrier {
    const { machine } = this;
    const { device } = input.config;
    // An engine would own the device's descriptor, and close it at its end.
    const carrier = new TestCarrier(input, () => machine.closeFd(machine.links.get(device)?.ifindex ?? -1));
    this.carriers.push(carrier);
    this.whenMade(carrier);
    return carrier;
  }
}

/** For the tests of a file. */
export function networksBench(): NetworksBench {
  const bench = new NetworksBench();
  beforeEach(() => bench.begin());
  afterEach(() => bench.end());
  return bench;
}

const psk = Buffer.from(Buffer.alloc(32, 5).toString("hex"));

/** A join that works, but for what the test gives. */
export function request(
  options: Partial<JoinRequest["options"]> = {},
  rest: Partial<JoinRequest> = {},
): JoinRequest {
  return {
    options: {
      network: "",
      iex: ["h:1"],
      virtualIp: "10.0.0.10/16",
      badger: false,
      listenPort: 0,
      device: "",
      mtu: 0,
      nodeName: "",
      ...options,
    },
    psk,
    timeoutMs: 5_000,
    expectPeers: 0,
    noWait: false,
    dryRun: false,
    ...rest,
  };
}

/** A caller that waits. */
export const never = new AbortController().signal;

/** Whether an error has this code and message, and a hint. */
export const fails =
  (code: string, message = /./) =>
  (error: unknown): boolean =>
    error instanceof VpnError &&
    error.code === code &&
    message.test(error.message) &&
    error.hint !== undefined;

/** Until the only network does not work. */
export async function failed(networks: Networks): Promise<void> {
  for await (const _ of networks.feed.ticks(AbortSignal.timeout(5_000), 0, 1)) {
    if (networks.get("").life.state === "error") return;
  }
}
