import { randomBytes } from "node:crypto";
import { availableParallelism, hostname } from "node:os";
import type { Logger } from "pino";
import { VpnError } from "../../common/errors.js";
import type { ServiceManager } from "../../common/systemd/service-manager.js";
import { type CryptoChoice, needsQueues, threadsFor } from "../core/engine.js";
import { findGroup } from "../io/api-socket.js";
import type { ConfigSource, LoadedConfig } from "../io/config/load.js";
import { GatewayStore } from "../io/gateway/store.js";
import { resolveServer } from "../io/server-names.js";
import { openStateFolder } from "../io/state/folder.js";
import { StateStore } from "../io/state/store.js";
import { machineExecutor, type TunUse } from "../io/system/executor.js";
import { Api } from "./api/server.js";
import { lockState, openDoor } from "./changes.js";
import { ExitNode } from "./exit-node/exit-node.js";
import { guardOwner } from "./exit-node/exit-rules.js";
import { followInto, nearNetwork } from "./gateway/follow-into.js";
import { Gateway } from "./gateway/gateway.js";
import type { GatewayPlatform } from "./gateway/platform.js";
import { followNetworks } from "./kill-switch/follow-networks.js";
import { KillSwitch } from "./kill-switch/kill-switch.js";
import { staysOn } from "./kill-switch/without-daemon.js";
import { Networks } from "./networks.js";
import { Observers } from "./observers.js";
import type { MakeCarrier, Platform } from "./platform.js";
import { Reloader } from "./reload.js";
import { supervise } from "./supervision.js";
import { version } from "./version.js";

/** What the daemon needs of the native addon. */
export interface Native extends Platform, GatewayPlatform {
  openTun(name: string, use: TunUse): { fd: number };
  /** Undefined: another process holds it. */
  lockFile(path: string): number | undefined;
  /** @returns who protects packets; throws VpnError when this machine cannot have it so */
  chooseCrypto(choice: CryptoChoice): string;
}

/** All of a running vpnd. `stop` takes back what `start` did, however far it came. */
export class Daemon {
  readonly #source: ConfigSource;
  readonly #config: LoadedConfig;
  readonly #native: Native;
  readonly #makeCarrier: MakeCarrier;
  readonly #service: ServiceManager;
  readonly #log: Logger;
  /** In the order of their effects; run in reverse. */
  readonly #undo: (() => Promise<unknown>)[] = [];
  #reloader: Reloader | undefined;
  #reloadAsked = false;

  constructor(
    source: ConfigSource,
    config: LoadedConfig,
    native: Native,
    makeCarrier: MakeCarrier,
    service: ServiceManager,
    log: Logger,
  ) {
    this.#source = source;
    this.#config = config;
    this.#native = native;
    this.#makeCarrier = makeCarrier;
    this.#service = service;
    this.#log = log;
  }

  /** @param stop aborts a start that is under way */
  async start(stop: AbortSignal): Promise<void> {
    const { stateDir, socket, readAccess, metrics, metricsPerPeer } = this.#config.settings;
    const log = this.#log;
    const group = this.#group();
    const threads = threadsFor(this.#config.settings.threads, availableParallelism());
    const crypto = this.#native.chooseCrypto(this.#config.settings.crypto);
    openStateFolder(stateDir);
    lockState(stateDir, this.#native.lockFile);
    const { door, left } = await openDoor(
      stateDir,
      this.#tuns(needsQueues(threads) ? "queues" : "one-queue"),
      log,
    );
    if (left.state === "elsewhere") log.warn({ netns: left.netns }, "left from another network namespace");
    const killSwitch = await KillSwitch.open({
      machine: machineExecutor(this.#tuns("one-queue")),
      stateDir,
      lookUp: resolveServer,
      log,
      now: Date.now,
    });
    this.#undo.push(async () => {
      if (killSwitch.on) log.warn(staysOn);
    });
    const exitNode = await ExitNode.open({
      door,
      stateDir,
      killSwitch,
      lookUp: (server) => killSwitch.resolve(server),
      log,
      now: Date.now,
    });
    const stays = exitNode.asked === undefined ? undefined : guardOwner;
    for (const change of await door.undoAll(stays)) log.warn({ change }, "took back what a killed vpnd left");
    this.#undo.push(() => door.undoAll());
    await exitNode.guard();
    const store = new StateStore(stateDir);
    await store.open();
    stop.throwIfAborted();
    const networks = new Networks(
      {
        door,
        store,
        platform: this.#native,
        makeCarrier: (input) =>
          this.#makeCarrier({ ...input, resolve: (server) => exitNode.resolve(server) }),
        threads,
        log,
        now: Date.now,
      },
      { random: (bytes) => new Uint8Array(randomBytes(bytes)), hostName: hostname() },
    );
    const gateway = new Gateway({
      store: new GatewayStore(stateDir),
      door,
      forwarding: networks.forwarding,
      platform: this.#native,
      networks: () => networks.all().map(nearNetwork),
      log,
      now: Date.now,
    });
    const about = { version: version(), started: Date.now(), stateDir };
    const audience = { group: group?.id, everybody: readAccess === "all" };
    const observers = new Observers(networks, {
      stateDir,
      socket,
      audience,
      metricsAt: metrics,
      metricsPerPeer,
      version: about.version,
      gateway,
      log,
    });
    this.#undo.push(() => observers.stop());
    this.#undo.push(() => networks.stop());
    this.#undo.push(() => gateway.close());
    stop.addEventListener("abort", () => void networks.stop(), { once: true });
    networks.mayLeave = (name) => {
      exitNode.refuseLeave(name);
      gateway.refuseLeave(name);
    };
    await observers.start();
    await networks.restore(this.#config.networks);
    stop.throwIfAborted();
    await gateway.restore(this.#config.settings.gateway);
    this.#undo.push(followNetworks(killSwitch, networks));
    this.#undo.push(exitNode.follow(networks));
    this.#undo.push(followInto(gateway, networks));
    await observers.serve();
    const api = await Api.open({
      path: socket,
      group,
      readAccess,
      networks,
      door,
      killSwitch,
      gateway,
      exitNode,
      about,
      events: observers.events,
      metrics: observers.metrics,
      onRefused: () => observers.metrics.refused(),
      onRejected: (reason) => observers.metrics.rejected(reason),
      log,
    });
    this.#undo.push(() => api.close());
    log.info({ socket, stateDir, version: about.version, pid: process.pid, crypto }, "ready");
    this.#undo.push(await supervise(this.#service, networks, gateway, log));
    const reloader = new Reloader({
      source: this.#source,
      started: this.#config,
      declared: networks.declared,
      gateway,
      chooseCrypto: (choice) => this.#native.chooseCrypto(choice),
      onBegin: () => this.#service.reloading(),
      onEnd: () => this.#service.reloaded(),
      log,
    });
    this.#undo.push(() => reloader.stop());
    this.#reloader = reloader;
    if (this.#reloadAsked) await reloader.reload();
  }

  /** Reads the config again; during a start, when that is over. Never throws. */
  async reload(): Promise<void> {
    this.#reloadAsked = true;
    await this.#reloader?.reload();
  }

  /** Never throws; idempotent. */
  async stop(): Promise<void> {
    for (let undo = this.#undo.pop(); undo; undo = this.#undo.pop()) {
      await undo().catch((error: unknown) => this.#log.error({ err: error }, "stop"));
    }
  }

  #tuns(usual: TunUse) {
    const native = this.#native;
    return {
      openTun: (name: string, use = usual) => native.openTun(name, use),
      closeFd: (fd: number) => native.closeFd(fd),
    };
  }

  /** The socket's group; undefined leaves it to root. */
  #group(): { id: number; name: string } | undefined {
    const { group, groupGiven } = this.#config.settings;
    const id = findGroup(group);
    if (id !== undefined) return { id, name: group };
    if (groupGiven) {
      throw new VpnError("failed", `there is no group ${group}`, {
        hint: `make it: groupadd --system ${group}`,
      });
    }
    this.#log.warn({ group }, "there is no such group: only root may use the socket");
    return undefined;
  }
}
