import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { PacketBatch, PacketPort } from "../core/packet-port.js";
import { closeFd, makeSocket } from "./native.js";
import { createPacketPort } from "./packet-port.js";

/** A UDP socket in place of a device: datagrams sent to it are packets out of it. */
function port(): PacketPort & { udp: number } {
  const socket = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" });
  const made = createPacketPort({ tunFd: socket.fd, mtu: 1400, items: "packets" });
  return Object.assign(made, { udp: socket.port });
}

/** The smallest IPv4 packet, with a number in it. */
function packet(id: number): Buffer {
  const bytes = Buffer.from("4500001400000000400600000a0000010a000002", "hex");
  bytes.writeUInt16BE(id, 4);
  return bytes;
}

/** The wake-up does not keep the process alive, by design; waiting for a batch must. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "time is up");
    await setImmediate();
  }
}

test("a filter lets in what its rules allow, and can be lifted", async () => {
  const a = port();
  try {
    // Of a protocol without a header of its own, which TCP would lack here.
    const write = () => {
      const bytes = packet(1);
      bytes[9] = 253;
      a.write(bytes, Uint32Array.of(20));
    };
    a.setFilter({ rules: [{ allow: true, services: [], sources: ["10.0.0.2/32"] }], allowOthers: false });
    a.start();
    write();
    assert.equal(a.counters().drops.filtered, 1);
    a.setFilter({ rules: [{ allow: true, services: [], sources: ["10.0.0.1"] }], allowOthers: false });
    write();
    a.setFilter({ rules: [], allowOthers: true });
    write();
    // Whether a socket in place of a device takes what comes in does not matter here.
    assert.equal(a.counters().drops.filtered, 1);
    assert.throws(() => Reflect.apply(a.setFilter, a, [{}]), { name: "TypeError", message: /rules/ });
  } finally {
    await a.stop();
  }
  a.setFilter({ rules: [], allowOthers: false });
});

test("packets come in order, also of batches that were held for a while", async () => {
  const a = port();
  const outside = createSocket("udp4");
  const ids: number[] = [];
  const held: PacketBatch[] = [];
  const read = (batch: PacketBatch) => {
    let from = 0;
    for (const end of batch.ends) {
      ids.push(Buffer.from(batch.data.subarray(from, end)).readUInt16BE(4));
      from = end;
    }
  };
  try {
    a.onPackets = (batch) => held.push(batch);
    a.start();
    let sent = 0;
    const send = () => outside.send(packet(sent++), a.udp, "127.0.0.1");
    for (let i = 1; i <= 4; i++) {
      send();
      await until(() => held.length === i);
    }
    for (let i = 0; i < 50; i++) send();
    await until(() => a.responds());
    assert.equal(held.length, 4, "no batch is left for what waits");
    for (const batch of held.splice(0)) {
      read(batch);
      batch.release();
      batch.release();
    }
    a.onPackets = (batch) => {
      read(batch);
      batch.release();
    };
    await until(() => ids.length === sent);

    a.pause();
    send();
    a.pause();
    await until(() => a.responds());
    assert.equal(ids.length, sent - 1);
    a.resume();
    await until(() => ids.length === sent);
    assert.deepEqual(
      ids,
      Array.from({ length: sent }, (_, index) => index),
    );
    assert.deepEqual(a.counters(), {
      rxBytes: 0,
      txBytes: 20 * sent,
      rxPackets: 0,
      txPackets: sent,
      drops: {},
    });
  } finally {
    outside.close();
    await a.stop();
  }
});

test("arguments of the wrong type are TypeErrors, wrong contents are counted", async () => {
  const a = port();
  try {
    const ends = Uint32Array.of(1);
    for (const data of [
      undefined,
      "x",
      [1],
      new Uint16Array(1),
      new DataView(new ArrayBuffer(1)),
      new Uint8Array(new SharedArrayBuffer(4)),
    ])
      assert.throws(() => a.write(data as Uint8Array, ends), { name: "TypeError", message: /data/ });
    for (const wrong of [undefined, new Int32Array(1), new Uint32Array(new SharedArrayBuffer(4))])
      assert.throws(() => a.write(new Uint8Array(1), wrong as Uint32Array), {
        name: "TypeError",
        message: /ends/,
      });
    const detached = new Uint8Array(8);
    structuredClone(detached, { transfer: [detached.buffer] });
    a.write(detached, ends);
    a.write(new Uint8Array(8), Uint32Array.of(4, 3, 8));
    a.write(new Uint8Array(0), new Uint32Array(0));
    assert.deepEqual(a.counters().drops, { "bad-batch": 2, "malformed-inner": 1 });
  } finally {
    await a.stop();
  }
  const socket = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" });
  for (const [name, wrong] of Object.entries({ mtu: 67, tunFd: -1, items: "supper" }))
    assert.throws(
      () => createPacketPort({ tunFd: socket.fd, mtu: 1400, items: "packets", ...{ [name]: wrong } }),
      { name: "TypeError", message: new RegExp(name) },
    );
  closeFd(socket.fd);
});

test("a port that was stopped holds neither descriptor nor thread, and still shows its counters", async () => {
  const open = () => readdirSync("/proc/self/fd").length;
  const threads = () =>
    readdirSync("/proc/self/task").filter((id) => {
      try {
        return readFileSync(`/proc/self/task/${id}/comm`, "utf8") === "vpnd-port\n";
      } catch {
        return false;
      }
    }).length;
  await port().stop();
  const before = open();
  const ports = Array.from({ length: 5 }, () => port());
  for (const one of ports) one.start();
  await until(() => threads() === 5);
  for (const one of ports) {
    one.write(new Uint8Array(1), Uint32Array.of(1));
    await one.stop();
    await one.stop();
    one.start();
    one.pause();
    one.resume();
    one.write(new Uint8Array(1), Uint32Array.of(1));
    assert.equal(one.features(), undefined);
    assert.equal(one.responds(), true);
    assert.deepEqual(one.counters().drops, { "malformed-inner": 1 });
  }
  assert.equal(threads(), 0);
  assert.ok(open() < before + ports.length, `${open()} descriptors after ${before}`);
});

test("a port can be stopped where its batch is handled, and a held batch stays readable", async () => {
  const a = port();
  const outside = createSocket("udp4");
  try {
    let last: PacketBatch | undefined;
    a.onPackets = (batch) => {
      last = batch;
      void a.stop();
    };
    a.start();
    outside.send(packet(7), a.udp, "127.0.0.1");
    await until(() => last !== undefined);
    assert.deepEqual(Buffer.from(last?.data ?? []), packet(7));
    last?.release();
  } finally {
    outside.close();
    await a.stop();
  }
});

const addonPath = fileURLToPath(new URL("../../../native/build/vpnd.node", import.meta.url));
/** Makes a port whose batches keep coming, waits for the first one, then does `ending`. */
const program = (ending: string, onBatch = "") => `
  const { PacketPort, makeSocket } = require(${JSON.stringify(addonPath)});
  const made = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1", mark: 0, shared: false });
  const outside = require("node:dgram").createSocket("udp4");
  const packet = Buffer.from("${packet(1).toString("hex")}", "hex");
  const more = () => { for (let i = 0; i < 20; i++) outside.send(packet, made.port, "127.0.0.1", () => {}); };
  let first = true;
  const port = new PacketPort({ tunFd: made.fd, mtu: 1400, items: "packets" }, (index) => {
    ${onBatch}
    port.giveBack(index);
    more();
    if (first) { first = false; ${ending} }
  });
  const kept = port.memory();
  port.start();
  more();`;

for (const [ending, code, status] of [
  ["by process.exit", "process.exit(3)", 3],
  ["by an exception", "throw new Error('meant')", 1],
  ["after two stops", "port.stop(); port.stop(); outside.close();", 0],
  ["by running out of work", "outside.close = outside.close.bind(outside); outside.close();", 0],
] as const) {
  test(`a process with a port under load ends ${ending}`, async () => {
    // A packet that is sent through a closed socket is of no interest here.
    const quiet =
      "process.on('uncaughtException', (e) => { if (e.code !== 'ERR_SOCKET_DGRAM_NOT_RUNNING') process.exit(1); });";
    const child = spawn(process.execPath, ["-e", quiet + program(code)], { stdio: "ignore" });
    assert.deepEqual(await once(child, "exit"), [status, null]);
  });
}

test("an exception of a handler is the process's, and the next batch comes", async () => {
  const caught =
    "let caught = 0; process.on('uncaughtException', () => { if (++caught === 6) process.exit(5); more(); });";
  const child = spawn(
    process.execPath,
    ["-e", caught + program("", "port.giveBack(index); throw new Error('meant');")],
    { stdio: "ignore" },
  );
  assert.deepEqual(await once(child, "exit"), [5, null]);
});

test("a worker with a port under load can be terminated", async () => {
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(program("require('node:worker_threads').parentPort.postMessage('on')"), {
      eval: true,
    });
    await once(worker, "message");
    await worker.terminate();
  }
});

test("a port that nobody knows any more is collected with its descriptor and thread", async () => {
  const source = `
    const { PacketPort, makeSocket } = require(${JSON.stringify(addonPath)});
    const { readdirSync } = require("node:fs");
    const open = () => readdirSync("/proc/self/fd").length + readdirSync("/proc/self/task").length;
    const make = () => {
      const { fd } = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1", mark: 0, shared: false });
      const port = new PacketPort({ tunFd: fd, mtu: 1400, items: "packets" }, () => {});
      port.memory();
      port.start();
    };
    make();
    const before = open();
    for (let i = 0; i < 10; i++) make();
    const deadline = Date.now() + 10000;
    const look = () => {
      gc();
      if (open() <= before) process.exit(0);
      if (Date.now() > deadline) process.exit(1);
      setImmediate(look);
    };
    look();`;
  const child = spawn(process.execPath, ["--expose-gc", "-e", source], { stdio: "ignore" });
  assert.deepEqual(await once(child, "exit"), [0, null]);
});
