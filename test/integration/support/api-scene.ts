/** The real vpnd in a namespace of its own, and its API in the test's hands. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, afterEach, beforeEach } from "node:test";
import { VpnError } from "../../../src/common/errors.js";
import { Health } from "../../../src/common/gen/grpc/health/v1/health_pb.js";
import { DaemonService } from "../../../src/common/gen/vpnd/v1/daemon_pb.js";
import { KeyService } from "../../../src/common/gen/vpnd/v1/key_pb.js";
import { NetworkService } from "../../../src/common/gen/vpnd/v1/network_pb.js";
import { PeerService } from "../../../src/common/gen/vpnd/v1/peer_pb.js";
import { StatsService } from "../../../src/common/gen/vpnd/v1/stats_pb.js";
import type { Connection } from "../../../src/common/grpc/client.js";
import { Bench, type Running, skip } from "./daemon.js";

const psk = Buffer.from("5a".repeat(32));

export interface JoinParts {
  network?: string;
  virtualIp?: string;
  iex?: string[];
  device?: string;
  mtu?: number;
  noWait?: boolean;
  timeoutSeconds?: number;
  dryRun?: boolean;
  listenPort?: number;
  psk?: Uint8Array;
  name?: string;
}

/** Anew for each test. */
export class ApiScene {
  #bench: Bench | undefined;
  #connection: Connection | undefined;

  begin(): void {
    this.#bench = new Bench();
  }

  async end(): Promise<void> {
    this.disconnect();
    await this.#bench?.close();
  }

  get bench(): Bench {
    assert.ok(this.#bench);
    return this.#bench;
  }

  api() {
    this.#connection ??= this.bench.connect();
    const connection = this.#connection;
    return {
      networks: connection.service(NetworkService),
      peers: connection.service(PeerService),
      stats: connection.service(StatsService),
      keys: connection.service(KeyService),
      daemon: connection.service(DaemonService),
      health: connection.service(Health),
    };
  }

  /** Joins a mesh, but for what the test gives as anybody would. */
  join(parts: JoinParts = {}) {
    const { virtualIp = "10.7.0.10/16", iex = ["127.0.0.1:9944"], listenPort = 0, ...others } = parts;
    const { psk: key = psk, ...rest } = others;
    const mesh = { virtualIp, iex, psk: key, listenPort, badger: false };
    return this.api().networks.join({ timeoutSeconds: 10, ...rest, carrier: { case: "mesh", value: mesh } });
  }

  /** The next call makes a new connection. */
  disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  /** Stops vpnd, which must succeed. */
  async stop(vpnd: Running): Promise<void> {
    this.disconnect();
    assert.equal(await vpnd.stop(), 0);
  }
}

/** For the tests of a file; afterwards none of its namespaces may be left. */
export function apiScene(): ApiScene {
  const scene = new ApiScene();
  if (skip) return scene;
  beforeEach(() => scene.begin());
  afterEach(() => scene.end());
  after(() => {
    const left = execFileSync("ip", ["netns"], { encoding: "utf8" });
    assert.ok(!left.includes(`vd-${process.pid}-`), left);
  });
  return scene;
}

/** Whether an error has this code and message, and a hint. */
export const fails =
  (code: string, message = /./) =>
  (error: unknown): boolean =>
    error instanceof VpnError &&
    error.code === code &&
    message.test(error.message) &&
    (error.hint ?? "") !== "";
