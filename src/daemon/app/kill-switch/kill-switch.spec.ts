import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { pino } from "pino";
import { MemoryMachine } from "../../io/system/memory-machine.js";
import { KillSwitch, type KillSwitchParts, type Tunnels } from "./kill-switch.js";
import { isKillSwitchOn, liftKillSwitch, restoreKillSwitch } from "./without-daemon.js";

const table = "inet vpnd_kill_switch";
let stateDir = "";
let machine = new MemoryMachine();
let names: Record<string, string[]> = {};

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "vd-switch-"));
  machine = new MemoryMachine();
  names = { "nas.example:22": ["192.0.2.5:22"], "iex.example:9944": ["192.0.2.1:9944"] };
});
afterEach(() => rmSync(stateDir, { recursive: true }));

const file = () => join(stateDir, "kill-switch.json");
const open = (parts: Partial<KillSwitchParts> = {}) =>
  KillSwitch.open({
    machine,
    stateDir,
    lookUp: async (server) => names[server] ?? [],
    log: pino({ level: "silent" }),
    now: () => 1000,
    ...parts,
  });
const rules = () => machine.tables.get(table) ?? "";
const asked = { allowLan: false, allow: [] };

async function follow(killSwitch: KillSwitch, tunnels: Tunnels): Promise<void> {
  async function* once(): AsyncGenerator<void> {
    yield;
  }
  await killSwitch.follow(() => tunnels, once());
}
const home: Tunnels = { devices: ["vpn-home"], servers: ["iex.example:9944", "192.0.2.9:1"] };

test("it is on disk before it is in force", async () => {
  const killSwitch = await open();
  let there: boolean | undefined;
  machine.onAction = () => {
    there ??= existsSync(file());
  };
  await killSwitch.turnOn(asked, false);
  assert.equal(there, true);
  assert.equal((await killSwitch.view()).inForce, true);
});

test("what nft refuses is not on, and what was on before stays", async () => {
  const killSwitch = await open();
  machine.failOn = "nft";
  await assert.rejects(killSwitch.turnOn(asked, false), /refused/);
  assert.equal(existsSync(file()), false);
  assert.equal(killSwitch.on, false);
  machine.failOn = undefined;
  await killSwitch.turnOn(asked, false);
  machine.failOn = "nft";
  await assert.rejects(killSwitch.turnOn({ ...asked, allow: ["nas.example:22"] }, false));
  machine.failOn = undefined;
  assert.deepEqual((await (await open()).view()).state?.allowed, []);
});

test("a dry run touches nothing", async () => {
  const killSwitch = await open();
  const { plan } = await killSwitch.turnOn(asked, true);
  assert.equal(plan[0], `add nftables table ${table}`);
  assert.deepEqual([machine.done, existsSync(file())], [[], false]);
});

test("another vpnd finds it as it was, names included", async () => {
  const first = await open();
  await follow(first, home);
  await first.turnOn({ allowLan: false, allow: ["nas.example:22"] }, false);
  machine.tables.clear();
  names = {};
  const second = await open();
  assert.match(rules(), /vpn-home/);
  assert.match(rules(), /192\.0\.2\.5/);
  assert.deepEqual(await second.resolve("iex.example:9944"), ["192.0.2.1:9944"]);
  // Asked for again, the name that nobody knows now is the one from before.
  await follow(second, home);
  const { already } = await second.turnOn({ allowLan: false, allow: ["nas.example:22"] }, false);
  assert.equal(already, true);
  await second.turnOff(false);
  assert.deepEqual(await second.resolve("iex.example:9944"), []);
});

test("a damaged file shuts everything", async () => {
  writeFileSync(file(), "{");
  await assert.rejects(restoreKillSwitch(stateDir, machine), /makes no sense/);
  assert.ok(machine.tables.has(table));
  const killSwitch = await open();
  assert.equal(killSwitch.on, true);
  await follow(killSwitch, home);
  assert.match(rules(), /vpn-home/);
  assert.deepEqual((await (await open()).view()).state?.devices, ["vpn-home"]);
});

test("it follows the networks, and comes back when somebody removes it", async () => {
  const killSwitch = await open();
  await killSwitch.turnOn(asked, false);
  assert.doesNotMatch(rules(), /vpn-home/);
  await follow(killSwitch, home);
  assert.match(rules(), /vpn-home/);
  const other = await open();
  machine.tables.clear();
  await follow(other, home);
  assert.match(rules(), /vpn-home/);
  await follow(other, { devices: [], servers: [] });
  assert.doesNotMatch(rules(), /vpn-home/);
});

test("a host that nobody knows is refused; a server is only noted", async () => {
  const killSwitch = await open();
  await assert.rejects(killSwitch.turnOn({ ...asked, allow: ["x.example:1"] }, false), /cannot be looked up/);
  await follow(killSwitch, { devices: ["vpn-home"], servers: ["x.example:1"] });
  const { notes } = await killSwitch.turnOn(asked, false);
  assert.match(notes[0] ?? "", /x\.example:1 cannot be looked up/);
});

test("without vpnd it is seen and lifted, table or file alone too", async () => {
  await (await open()).turnOn(asked, false);
  assert.equal(await isKillSwitchOn(stateDir, machine), true);
  assert.equal((await liftKillSwitch(stateDir, machine, true)).length, 2);
  assert.ok(machine.tables.has(table));
  machine.tables.clear();
  assert.deepEqual(await liftKillSwitch(stateDir, machine, false), [`remove file ${file()}`]);
  assert.equal(existsSync(file()), false);
  assert.deepEqual(await liftKillSwitch(stateDir, machine, false), []);
  machine.tables.set(table, "");
  assert.deepEqual(await liftKillSwitch(stateDir, machine, false), [`remove nftables table ${table}`]);
  assert.equal(await isKillSwitchOn(stateDir, machine), false);
});
