/** What every demo is shown on: numbered steps that are timed and checked, and vpnctl as its user would see it. */
import { must } from "../../test/lab/command.js";
import type { Host, Lab } from "../../test/lab/lab.js";
import type { Daemon } from "../../test/lab/programs.js";

const coloured = process.stdout.isTTY && (process.env.NO_COLOR ?? "") === "";
const paint = (code: number, text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = (text: string) => paint(1, text);
export const dim = (text: string) => paint(2, text);
export const green = (text: string) => paint(32, text);
export const red = (text: string) => paint(31, text);
export const cyan = (text: string) => paint(36, text);

export const say = (text = "") => process.stdout.write(`${text}\n`);
export const indent = (text: string) => text.trimEnd().replace(/^/gm, "    ");

export interface Node {
  name: string;
  daemon: Daemon;
  host: Host;
  vip: string;
}

export class Demo {
  #number = 0;
  readonly #start = performance.now();

  constructor(readonly lab: Lab) {}

  /** A heading, the work, and how long it took. The first failure ends the demo. */
  async step<T>(title: string, work: () => Promise<T>): Promise<T> {
    this.#number += 1;
    say(`${bold(cyan(`${this.#number}. ${title}`))}`);
    const start = performance.now();
    try {
      const value = await work();
      say(`    ${green("ok")} ${dim(`${((performance.now() - start) / 1000).toFixed(1)} s`)}\n`);
      return value;
    } catch (error) {
      say(`    ${red("failed")}\n${indent(error instanceof Error ? error.message : String(error))}\n`);
      throw error;
    }
  }

  /** Runs vpnctl on a node, and shows it as its user would see it. */
  async ctl(node: Node, args: readonly string[]): Promise<string> {
    this.show(node, `vpnctl ${args.join(" ").replaceAll(this.lab.folder, "")}`);
    const env = coloured ? { NO_COLOR: "", FORCE_COLOR: "1", COLUMNS: "110" } : { COLUMNS: "110" };
    const output = await node.daemon.ok(args, { env });
    say(indent(output.replaceAll(this.lab.folder, "")));
    return output;
  }

  show(node: Node, command: string): void {
    say(`  ${dim(`${node.name}$`)} ${command}`);
  }

  get seconds(): string {
    return ((performance.now() - this.#start) / 1000).toFixed(0);
  }
}

export function ensure(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

/** A node leaves, its vpnd ends, and nothing of it is there any more. */
export async function leaveNothing(demo: Demo, node: Node): Promise<void> {
  await demo.ctl(node, ["leave"]);
  ensure((await node.daemon.stop()) === 0, `vpnd of ${node.name} ended badly`);
  const links = await node.host.ip("-br", "link");
  ensure(!links.includes("vpn-"), `a device was left:\n${links}`);
  const rules = await must("ip", ["netns", "exec", node.host.netns, "nft", "list", "ruleset"]);
  ensure(rules.trim() === "", `nftables rules were left:\n${rules}`);
}
