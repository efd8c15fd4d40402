import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { pino } from "pino";
import type { Item } from "../../core/system/items.js";
import { SystemDoor } from "./door.js";
import { Journal } from "./journal.js";
import { MemoryMachine } from "./memory-machine.js";

const place = { bootId: "boot", netns: "net:[1]" };
const log = pino({ level: "silent" });
let folder = "";
let machine = new MemoryMachine();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vd-door-"));
  machine = new MemoryMachine();
});
afterEach(() => rmSync(folder, { recursive: true }));

const path = () => join(folder, "journal.json");
const newDoor = (journal = new Journal(path(), place)) => new SystemDoor({ executor: machine, journal, log });
const items = (name: string, kind: "tun" | "existing-tun" = "tun"): Item[] => [
  { kind, name },
  { kind: "link", device: name, mtu: 1400 },
  { kind: "address", device: name, address: "10.0.0.1/16" },
];
const addExisting = () =>
  machine.links.set("tun7", {
    name: "tun7",
    ifindex: 7,
    mtu: 1500,
    up: false,
    type: "tun",
    tunMode: "tun",
    persistent: true,
    addresses: ["192.0.2.1/24"],
  });

test("each change is on disk before it happens", async () => {
  machine.onAction = (text) => {
    const device = text.startsWith("addr ") ? "add-address" : "set-link";
    assert.ok(readFileSync(path(), "utf8").includes(device), text);
  };
  await newDoor().apply("a", items("vpn-a"));
  assert.deepEqual(machine.links.get("vpn-a")?.addresses, ["10.0.0.1/16"]);
});

test("after undo nothing is left, not even the journal's file", async () => {
  const door = newDoor();
  const { tunFd } = await door.apply("a", items("vpn-a"));
  machine.closeFd(tunFd ?? -1);
  await door.undo("a");
  assert.equal(machine.links.size, 0);
  assert.throws(() => readFileSync(path()), /ENOENT/);
});

test("an existing device is given back as it was", async () => {
  addExisting();
  const before = machine.links.get("tun7");
  const door = newDoor();
  const { tunFd } = await door.apply("a", items("tun7", "existing-tun"));
  assert.equal(machine.links.get("tun7")?.mtu, 1400);
  machine.closeFd(tunFd ?? -1);
  await door.undo("a");
  assert.deepEqual(machine.links.get("tun7"), before);
});

test("a failure in the middle leaves nothing behind", async () => {
  addExisting();
  const before = machine.links.get("tun7");
  machine.failOn = "addr add 10.0.0.1";
  await assert.rejects(newDoor().apply("a", items("tun7", "existing-tun")), /refused/);
  assert.deepEqual(machine.links.get("tun7"), before);
  await assert.rejects(newDoor().apply("b", items("vpn-b")), /refused/);
  assert.equal(machine.links.has("vpn-b"), false);
});

test("what a killed process left is taken back from the journal", async () => {
  addExisting();
  const before = machine.links.get("tun7");
  await newDoor().apply("a", items("tun7", "existing-tun"));
  const journal = new Journal(path(), place);
  assert.equal((await journal.load()).state, "here");
  const done = await newDoor(journal).undoAll();
  assert.equal(done.length, 3);
  assert.ok(machine.done.includes("reset tun tun7"));
  assert.deepEqual(machine.links.get("tun7"), before);
  assert.equal((await new Journal(path(), place).load()).state, "empty");
});

test("what cannot be taken back is kept in the journal and tried again", async () => {
  addExisting();
  const before = machine.links.get("tun7");
  const door = newDoor();
  const { tunFd } = await door.apply("a", items("tun7", "existing-tun"));
  machine.closeFd(tunFd ?? -1);
  machine.failOn = "link set dev tun7 mtu 1500";
  await door.undo("a");
  assert.deepEqual(door.leftovers(), ["restore tun7: down, mtu 1500"]);
  machine.failOn = undefined;
  const journal = new Journal(path(), place);
  await journal.load();
  const later = newDoor(journal);
  assert.deepEqual(await later.undoAll(), ["restore tun7: down, mtu 1500"]);
  assert.deepEqual(later.leftovers(), []);
  assert.deepEqual(machine.links.get("tun7"), before);
});

test("plan and footprint show what is in force, and what somebody else took away", async () => {
  addExisting();
  const door = newDoor();
  await door.apply("a", items("tun7", "existing-tun"));
  const states = async () => (await door.applied("a")).map((step) => step.state);
  assert.deepEqual(await states(), ["applied", "applied", "applied"]);
  assert.deepEqual(
    (await door.footprint()).map(({ kind, name, network, present }) => [kind, name, network, present]),
    [
      ["device", "tun7", "a", true],
      ["link", "tun7", "a", true],
      ["address", "10.0.0.1/16", "a", true],
    ],
  );
  await machine.run({ type: "ip", args: ["addr", "del", "10.0.0.1/16", "dev", "tun7"] });
  assert.deepEqual(await states(), ["applied", "applied", "missing"]);
  assert.deepEqual(
    (await door.footprint()).filter((trace) => !trace.present).map((trace) => trace.name),
    ["10.0.0.1/16"],
  );
});

test("owners do not disturb each other", async () => {
  const door = newDoor();
  const a = await door.apply("a", items("vpn-a"));
  await door.apply("b", items("vpn-b"));
  machine.closeFd(a.tunFd ?? -1);
  await door.undo("a");
  assert.deepEqual(door.planUndo("a"), []);
  assert.equal(door.planUndo("b").length, 3);
  assert.equal(machine.links.get("vpn-b")?.up, true);
});

test("a plan changes nothing", async () => {
  assert.equal((await newDoor().plan(items("vpn-a"))).length, 3);
  assert.equal(machine.links.size, 0);
  assert.deepEqual(machine.done, []);
});

test("a journal of another boot is void, one of another namespace is told apart, nonsense is set aside", async () => {
  await newDoor().apply("a", items("vpn-a"));
  assert.equal((await new Journal(path(), { ...place, bootId: "later" }).load()).state, "empty");
  assert.equal((await new Journal(path(), { ...place, netns: "net:[2]" }).load()).state, "elsewhere");
  for (const text of [
    "",
    "{",
    "[]",
    '{"version":1}',
    '{"version":1,"bootId":"boot","netns":"n","entries":[{"owner":1}]}',
  ]) {
    writeFileSync(path(), text);
    const left = await new Journal(path(), place).load();
    assert.equal(left.state, "damaged", text);
    assert.equal(left.state === "damaged" && readFileSync(left.keptAs, "utf8"), text);
  }
});

test("what is there just so is not touched, not even after a crash; else all of it is made anew", async () => {
  const file = (text: string): Item[] => [{ kind: "file", path: "/etc/x", text }];
  assert.equal(await newDoor().ensure("a", file("1")), true);
  machine.done.length = 0;
  const journal = new Journal(path(), place);
  await journal.load();
  const door = newDoor(journal);
  await door.undoAll("a");
  assert.equal(await door.ensure("a", file("1")), false);
  assert.deepEqual(machine.done, []);
  assert.equal(await door.ensure("a", file("2")), true);
  assert.equal(machine.files.get("/etc/x"), "2");
  machine.files.delete("/etc/x");
  assert.equal(await door.ensure("a", file("2")), true);
  await door.undoAll();
  assert.equal(machine.files.size, 0);
});
