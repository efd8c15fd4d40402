/** The real programs of bin/ on a lab's hosts: each vpnd with its own state folder and socket. */
import { existsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { must, type Result, type RunOptions, waitFor } from "./command.js";
import { type Host, repository } from "./lab.js";
import type { Running } from "./machine.js";

export const iexPort = 9944;

export interface PeerJson {
  virtualIp: string;
  name?: string;
  path: string;
  state: string;
  reason?: { code: string; message: string };
  endpoint?: string;
  rttSeconds?: number;
  mtu?: number;
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  lastHandshake?: string;
  foreign?: boolean;
  cipher?: string;
  nodeKey?: string;
}

export interface PeersJson {
  schema: string;
  network: string;
  self: { virtualIp: string; name: string; device: string; pskFingerprint?: string };
  peers: PeerJson[];
  notes?: string[];
}

export interface StatsJson {
  schema: string;
  network: string;
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  drops: Record<string, number>;
}

export interface JoinOptions {
  iex: string;
  /** CIDR. */
  vip: string;
  /** Contents of the PSK file. */
  psk: string;
  network?: string;
  name?: string;
  badger?: boolean;
  device?: string;
  mtu?: number;
  /** Seconds. */
  timeout?: number;
  more?: readonly string[];
}

const env = { NO_COLOR: "1" };
let pskFiles = 0;

/** One vpnd and the vpnctl that talks to it. Survives restarts: the state folder stays. */
export class Daemon {
  #running: Running | undefined;
  readonly stateDir: string;
  readonly socket: string;

  constructor(
    readonly host: Host,
    readonly label = "vpnd",
  ) {
    this.stateDir = join(host.folder, `${label}-state`);
    this.socket = join(host.folder, `${label}-run`, "vpnd.sock");
  }

  get program(): Running {
    if (this.#running === undefined) throw new Error(`vpnd of ${this.host.name} is not running`);
    return this.#running;
  }

  async start(more: readonly string[] = []): Promise<void> {
    const args = ["--state-dir", this.stateDir, "--socket", this.socket, ...more];
    this.#running = this.host.spawn(this.label, join(repository, "bin/vpnd"), args, { env });
    await this.program.until(() => accepts(this.socket), 60_000, `vpnd of ${this.host.name} takes commands`);
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number> {
    return this.program.stop(20_000);
  }

  /** As a crash: SIGKILL. */
  async crash(): Promise<void> {
    this.program.kill("SIGKILL");
    await this.program.ended();
  }

  /** vpnctl with its exit code, whatever that is. */
  ctl(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.host.exec(join(repository, "bin/vpnctl"), ["--socket", this.socket, ...args], {
      ...options,
      env: { ...env, ...options.env },
    });
  }

  /** The same, and a bad exit code is an error. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.ctl(args, options);
    if (result.code !== 0)
      throw new Error(
        `${this.host.name}: vpnctl ${args.join(" ")}: exit ${result.code}\n${result.stdout}${result.stderr}`,
      );
    return result.stdout;
  }

  /** First document that `vpnctl --json` prints; T is what the caller's assertions will show it to be. */
  async json<T>(args: readonly string[]): Promise<T> {
    const text = await this.ok(["--json", ...args]);
    const first = text.trimStart().startsWith("{\n") ? text : (text.split("\n")[0] ?? "");
    return JSON.parse(first) as T;
  }

  joinArgs(options: JoinOptions): string[] {
    pskFiles += 1;
    const pskFile = join(this.host.folder, `psk-${pskFiles}`);
    writeFileSync(pskFile, `${options.psk}\n`, { mode: 0o600 });
    return [
      ...(options.timeout === undefined ? [] : ["--timeout", `${options.timeout}s`]),
      "join",
      ...(options.network === undefined ? [] : [options.network]),
      "--iex",
      options.iex,
      "--vip",
      options.vip,
      "--psk-file",
      pskFile,
      ...(options.name === undefined ? [] : ["--name", options.name]),
      ...(options.badger === true ? ["--badger"] : []),
      ...(options.device === undefined ? [] : ["--device", options.device]),
      ...(options.mtu === undefined ? [] : ["--mtu", String(options.mtu)]),
      ...(options.more ?? []),
    ];
  }

  async join(options: JoinOptions): Promise<string> {
    return this.ok(this.joinArgs(options));
  }

  async peers(): Promise<PeersJson> {
    return this.json<PeersJson>(["peers"]);
  }

  async stats(): Promise<StatsJson> {
    return this.json<StatsJson>(["stats"]);
  }

  /** Waits until the peer is what the condition wants. */
  async peer(
    virtualIp: string,
    condition: (peer: PeerJson) => boolean,
    deadlineMs: number,
    what: string,
  ): Promise<PeerJson> {
    let last: PeersJson | undefined;
    return waitFor(
      async () => {
        last = await this.peers();
        return last.peers.find((peer) => peer.virtualIp === virtualIp && condition(peer));
      },
      deadlineMs,
      `${this.host.name} sees ${virtualIp} ${what}`,
      () => last?.peers,
    );
  }

  peerUp(virtualIp: string, deadlineMs = 30_000): Promise<PeerJson> {
    return this.peer(virtualIp, (peer) => peer.state === "up", deadlineMs, "up");
  }

  /** Waits until the peer is no longer listed. */
  async peerGone(virtualIp: string, deadlineMs: number): Promise<void> {
    let last: PeersJson | undefined;
    await waitFor(
      async () => {
        last = await this.peers();
        return !last.peers.some((peer) => peer.virtualIp === virtualIp && peer.state !== "offline");
      },
      deadlineMs,
      `${this.host.name} no longer sees ${virtualIp}`,
      () => last?.peers,
    );
  }
}

/** A running vpnd. */
export async function vpnd(host: Host, label = "vpnd"): Promise<Daemon> {
  const daemon = new Daemon(host, label);
  await daemon.start();
  return daemon;
}

/** A running iexd on its default port. */
export async function iexd(host: Host, more: readonly string[] = ["--badger"]): Promise<Running> {
  const args = ["--state-dir", join(host.folder, "iexd-state"), ...more];
  const program = host.spawn("iexd", join(repository, "bin/iexd"), args, { env });
  await host.listening(program, "udp", iexPort);
  return program;
}

export async function pskGenerate(): Promise<string> {
  return (await must(join(repository, "bin/vpnctl"), ["psk", "generate"], { env })).trim();
}

function accepts(socketPath: string): Promise<boolean> {
  if (!existsSync(socketPath)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
