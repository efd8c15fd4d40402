/**
 * Runs the door on the real machine (a network namespace of a test) and kills itself at a given point of its work: after the
 * n-th journal write, action or opened device. Prints "whole N" when the work has no such point.
 * Arguments: state folder, n.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import type { Item } from "../../../src/daemon/core/system/items.js";
import { closeFd, openTun } from "../../../src/daemon/io/native.js";
import { openStateFolder } from "../../../src/daemon/io/state/folder.js";
import { SystemDoor } from "../../../src/daemon/io/system/door.js";
import { type Executor, machineExecutor } from "../../../src/daemon/io/system/executor.js";
import { currentPlace, Journal } from "../../../src/daemon/io/system/journal.js";

const [stateDir = "", last = "0"] = process.argv.slice(2);
let points = 0;

function point(): void {
  if (++points === Number(last)) process.kill(process.pid, "SIGKILL");
}

class DyingJournal extends Journal {
  override async save(): Promise<void> {
    await super.save();
    point();
  }
}

const machine = machineExecutor({
  openTun: (name, use) => openTun({ name, plain: use === "plain" }),
  closeFd,
});
const dying: Executor = {
  ...machine,
  async run(action) {
    await machine.run(action);
    point();
  },
  openTun(name) {
    const opened = machine.openTun(name);
    point();
    return opened;
  },
  closeFd(fd) {
    machine.closeFd(fd);
    point();
  },
};

/** All kinds of changes on a device of ours, and those that an existing one can get. */
const own: Item[] = [
  { kind: "tun", name: "vpn-x" },
  { kind: "link", device: "vpn-x", mtu: 1400 },
  { kind: "address", device: "vpn-x", address: "10.7.0.1/16" },
  { kind: "address", device: "vpn-x", address: "fd00:7::1/64" },
  { kind: "route", device: "vpn-x", prefix: "10.99.0.0/16", source: "10.7.0.1" },
  { kind: "route", device: "vpn-x", prefix: "0.0.0.0/0", table: "51" },
  { kind: "route", device: "vpn-x", prefix: "::/0", table: "51" },
  { kind: "rule", rule: { family: 4, priority: 900, fwmark: 0x51, table: "51" } },
  { kind: "rule", rule: { family: 6, priority: 900, from: "fd00:7::/64", table: "51" } },
  { kind: "sysctl", key: "net/ipv4/ip_forward", value: "1" },
  { kind: "sysctl", key: "net/ipv4/conf/up0/rp_filter", value: "2" },
  {
    kind: "nft-table",
    family: "inet",
    name: "vpnd",
    commands: [
      {
        add: {
          chain: {
            family: "inet",
            table: "vpnd",
            name: "in",
            type: "filter",
            hook: "input",
            prio: 0,
            policy: "accept",
          },
        },
      },
    ],
  },
  {
    kind: "resolver",
    device: "vpn-x",
    servers: ["10.7.0.1"],
    domains: ["x.vpn"],
    everything: true,
    resolvConf: "nameserver 10.7.0.1\n",
  },
];
const existing: Item[] = [
  { kind: "existing-tun", name: "tun7" },
  { kind: "link", device: "tun7", mtu: 1280 },
  { kind: "address", device: "tun7", address: "10.8.0.1/16" },
  { kind: "address", device: "tun7", address: "fd00:8::1/64" },
  { kind: "route", device: "tun7", prefix: "10.98.0.0/16" },
];

openStateFolder(stateDir);
const journal = new DyingJournal(join(stateDir, "journal.json"), await currentPlace());
const door = new SystemDoor({ executor: dying, journal, log: pino({ level: "silent" }) });
const first = await door.apply("a", own);
const second = await door.apply("b", existing);
for (const { tunFd } of [second, first]) if (tunFd !== undefined) dying.closeFd(tunFd);
await door.undo("b");
await door.undo("a");
writeSync(1, `whole ${points}\n`);
