/** A network namespace beside this process's own; it ends when its only process does. */
import { type ChildProcess, spawn } from "node:child_process";
import { readlinkSync } from "node:fs";
import { must, waitFor } from "../../lab/command.js";

export class FarNamespace {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async create(): Promise<FarNamespace> {
    // Its input ends when this process does, however that ends.
    const holder = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "ignore"] });
    const far = new FarNamespace(holder);
    const of = (who: string) => readlinkSync(`/proc/${who}/ns/net`);
    await waitFor(() => of(far.pid) !== of("self"), 10_000, "a namespace");
    await far.ip("link", "set", "lo", "up");
    return far;
  }

  get pid(): string {
    return String(this.#holder.pid);
  }

  /** Arguments for `nsenter` before a command. */
  enter(...command: string[]): string[] {
    return ["-t", this.pid, "-n", ...command];
  }

  exec(...command: string[]): Promise<string> {
    return must("nsenter", this.enter(...command));
  }

  ip(...args: string[]): Promise<string> {
    return this.exec("ip", ...args);
  }

  spawn(...command: string[]): ChildProcess {
    return spawn("nsenter", this.enter(...command), { stdio: ["ignore", "pipe", "inherit"] });
  }

  end(): void {
    this.#holder.kill("SIGKILL");
  }
}
