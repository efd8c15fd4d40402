/** Stands in for systemd: a socket for service messages, kept open as systemd keeps its own. */
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAddon } from "../../src/common/addon.js";
import { waitFor } from "../lab/command.js";

interface Receiver {
  openDatagramSocket(path: string): number;
  receiveDatagram(fd: number): { text: string; fd?: number } | undefined;
}

export interface Received {
  text: string;
  /** It came with a descriptor, which the caller closes. */
  fd?: number;
}

export class ServiceSocket {
  readonly #folder = mkdtempSync(join(tmpdir(), "vpnd-notify-"));
  readonly path: string;
  readonly #addon = loadAddon() as Receiver;
  readonly #fd: number;
  /** All messages so far, but for the barriers of systemd-notify(1). */
  readonly received: Received[] = [];

  /** @param path "@NAME" for an abstract one */
  constructor(path?: string) {
    this.path = path ?? join(this.#folder, "notify");
    this.#fd = this.#addon.openDatagramSocket(this.path);
  }

  /** Takes what has come. */
  read(): Received[] {
    for (let one = this.#addon.receiveDatagram(this.#fd); one; one = this.#addon.receiveDatagram(this.#fd)) {
      // Whoever sent it waits until the descriptor is closed: then all before it has been read.
      if (/^BARRIER=1$/m.test(one.text)) {
        assert.ok(one.fd !== undefined);
        closeSync(one.fd);
      } else this.received.push(one);
    }
    return this.received;
  }

  /** Waits for a message and returns it. */
  got(pattern: RegExp, deadlineMs = 30_000): Promise<Received> {
    return waitFor(
      () => this.read().find((one) => pattern.test(one.text)),
      deadlineMs,
      `a message like ${pattern}`,
      () => this.received.map((one) => one.text),
    );
  }

  close(): void {
    closeSync(this.#fd);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
