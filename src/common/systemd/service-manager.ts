import type { Logger } from "pino";
import { VpnError } from "../errors.js";
import { checkFdName, reloadingMessage, statusText, watchdogPeriod } from "./messages.js";

/** The two ways to systemd. */
export interface ServiceLinks {
  /** Sends READY and STATUS by systemd-notify(1): a process for each message, which says when it was taken. */
  announce(what: { ready?: true; status: string }): Promise<unknown>;
  /**
   * Sends one datagram from this very process, with a descriptor if given.
   * @throws VpnError when there is no addon, Error with the system's code when the socket refuses it
   */
  datagram(socketPath: string, message: string, fd?: number): void;
}

/** Signs of life in one watchdog period. */
const beatsPerPeriod = 3;
/** Node's timers take no more, milliseconds. */
const longestTimer = 2 ** 31 - 1;

/**
 * What systemd is told of this process. Without NOTIFY_SOCKET nothing is sent, and every method does nothing.
 * A message that cannot be sent is logged and never an error of the program.
 */
export class ServiceManager {
  readonly #socket: string | undefined;
  readonly #period: number | undefined;
  readonly #links: ServiceLinks;
  readonly #log: Logger;
  #status = "";
  /** Announcements in their order; the last one. */
  #announced: Promise<void> = Promise.resolve();
  #beats: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(
    env: Readonly<Record<string, string | undefined>>,
    pid: number,
    links: ServiceLinks,
    log: Logger,
  ) {
    this.#links = links;
    this.#log = log;
    const { NOTIFY_SOCKET: socket } = env;
    if (socket === undefined || socket === "") return;
    if (!/^[/@]./.test(socket)) {
      log.warn({ socket }, "NOTIFY_SOCKET is no Unix socket: the service manager is told nothing");
      return;
    }
    this.#socket = socket;
    this.#period = watchdogPeriod(env, pid);
  }

  /** Start-up is over. Resolves when systemd has been told. */
  async ready(status: string): Promise<void> {
    this.#status = statusText(status);
    await this.#announce({ ready: true, status: this.#status });
  }

  /** A line for `systemctl status`; told only when it changes. */
  status(text: string): void {
    const status = statusText(text);
    if (status === this.#status || this.#stopping) return;
    this.#status = status;
    this.#announce({ status }).catch((error: unknown) =>
      this.#log.error({ err: error }, "cannot tell the status"),
    );
  }

  /** A reload begins; `reloaded` must follow, whether it changed anything or failed. */
  reloading(): void {
    this.#send(reloadingMessage(process.hrtime.bigint() / 1000n));
  }

  reloaded(): void {
    this.#send("READY=1");
  }

  stopping(): void {
    this.#stopping = true;
    clearInterval(this.#beats);
    this.#send("STOPPING=1");
  }

  /**
   * Tells the watchdog that the process works, from the event loop and only while `healthy` says so.
   * @throws VpnError when systemd watches this process and there is no addon to answer by
   */
  watch(healthy: () => boolean): void {
    if (this.#socket === undefined || this.#period === undefined || this.#stopping) return;
    let failing = false;
    this.#send("WATCHDOG=1");
    const beat = (): void => {
      if (healthy()) {
        if (failing) this.#log.info("the threads answer again");
        failing = false;
        this.#send("WATCHDOG=1");
      } else if (!failing) {
        failing = true;
        this.#log.error("a thread does not answer: the watchdog is told nothing");
      }
    };
    this.#beats = setInterval(beat, Math.min(longestTimer, Math.max(1, this.#period / beatsPerPeriod)));
    this.#beats.unref();
  }

  /** Puts a descriptor into systemd's keeping under this name; one name stands for one descriptor. */
  store(name: string, fd: number): void {
    this.#send(`FDSTORE=1\nFDNAME=${checkFdName(name)}`, fd);
  }

  /** Takes all descriptors of this name out of systemd's keeping. */
  unstore(name: string): void {
    this.#send(`FDSTOREREMOVE=1\nFDNAME=${checkFdName(name)}`);
  }

  #announce(what: { ready?: true; status: string }): Promise<void> {
    if (this.#socket === undefined) return Promise.resolve();
    const before = this.#announced.catch(() => {});
    this.#announced = before.then(async () => {
      try {
        await this.#links.announce(what);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#log.warn({ message }, "systemd-notify does not work: telling the service manager directly");
        this.#send(`${what.ready ? "READY=1\n" : ""}STATUS=${what.status}`);
      }
    });
    return this.#announced;
  }

  #send(message: string, fd?: number): void {
    if (this.#socket === undefined) return;
    try {
      this.#links.datagram(this.#socket, message, fd);
    } catch (error) {
      // No addon: waiting for the watchdog to kill what works would be no help.
      if (error instanceof VpnError) throw error;
      this.#log.error({ err: error, socket: this.#socket }, "cannot tell the service manager");
    }
  }
}
