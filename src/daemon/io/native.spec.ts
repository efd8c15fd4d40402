import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { closeSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { VpnError } from "../../common/errors.js";
import type { EngineEvent, EngineIdentity, MeshEngine } from "../core/engine.js";
import {
  closeFd,
  createMeshEngine,
  dataCiphers,
  hungUp,
  lockFile,
  makeSocket,
  openTun,
  peerCredentials,
  peerGroups,
} from "./native.js";

const bytes = (size: number, value: number) => new Uint8Array(size).fill(value);

const identity = (seed: number): EngineIdentity => ({
  badger: false,
  nodeSeed: bytes(32, seed),
  epochs: [
    {
      id: 5,
      dtlsPsk: bytes(32, 2),
      identityKey: bytes(32, 3),
      probePsk: bytes(64, 0x61),
      networkId: bytes(32, 1),
      record: bytes(10, seed),
    },
  ],
});

/** An engine on loopback; its TUN is a UDP socket, so that datagrams sent to it are packets from inside. */
function engine(
  seed: number,
  tun = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" }),
): MeshEngine {
  const socket = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" });
  return createMeshEngine({
    identity: identity(seed),
    tunFd: tun.fd,
    mtu: 1400,
    sockets: [{ family: 4, fd: socket.fd }],
    threads: 1,
    pingIntervalMs: 1000,
    deadAfterMs: 5000,
  });
}

function nextEvent<T extends EngineEvent["type"]>(
  from: MeshEngine,
  type: T,
): Promise<Extract<EngineEvent, { type: T }>> {
  return new Promise((resolve) => {
    from.onEvent = (event) => {
      if (event.type === type) resolve(event as Extract<EngineEvent, { type: T }>);
    };
  });
}

/** The engine's wake-up does not keep the process alive, by design; waiting for an event must. */
async function alive<T>(wait: Promise<T>): Promise<T> {
  const timer = setTimeout(() => {}, 20_000);
  try {
    return await wait;
  } finally {
    clearTimeout(timer);
  }
}

test("two engines shake hands, measure and say goodbye", async () => {
  const a = engine(10);
  const b = engine(11);
  try {
    a.setPeer(1, ["10.0.0.2/32"]);
    b.setPeer(1, ["10.0.0.1/32"]);
    const helloA = nextEvent(a, "hello");
    const helloB = nextEvent(b, "hello");
    a.start();
    b.start();
    a.connect(77, `127.0.0.1:${b.port}`);
    const [atA, atB] = await alive(Promise.all([helloA, helloB]));
    assert.equal(atA.tag, 77);
    assert.deepEqual([atA.epoch, atB.epoch], [5, 5]);
    assert.equal(atA.role, "client");
    assert.equal(atB.role, "server");
    assert.equal(atB.endpoint, `127.0.0.1:${a.port}`);
    assert.deepEqual(Buffer.from(atB.record), Buffer.from(bytes(10, 10)));
    assert.equal(atA.nodeKey.length, 32);
    const up = Promise.all([nextEvent(a, "up"), nextEvent(b, "up")]);
    a.admit(atA.assoc, 1);
    b.admit(atB.assoc, 1);
    const [upA] = await alive(up);
    assert.equal(upA.peer, 1);
    assert.equal(upA.foreign, false);
    assert.ok(dataCiphers().includes(upA.cipher));

    const pong = nextEvent(a, "pong");
    a.ping(1, 0xfedc_ba98_7654_3210n);
    const answer = await alive(pong);
    assert.equal(answer.token, 0xfedc_ba98_7654_3210n);
    assert.ok(answer.rttSeconds > 0 && answer.rttSeconds < 20);
    const control = nextEvent(b, "control");
    a.sendControl(2, bytes(9, 0x20));
    a.sendControl(1, Uint8Array.from([0x20, 1, 2, 3]));
    const told = await alive(control);
    assert.equal(told.peer, 1);
    assert.deepEqual([...told.data], [0x20, 1, 2, 3]);
    const counters = a.peerCounters(1);
    assert.equal(counters?.endpoint, `127.0.0.1:${b.port}`);
    assert.equal(counters?.cipher, upA.cipher);
    assert.equal(a.peerCounters(2), undefined);

    const closed = nextEvent(b, "closed");
    await a.stop();
    assert.deepEqual((({ peer, reason }) => ({ peer, reason }))(await alive(closed)), { peer: 1, reason: 0 });
  } finally {
    await a.stop();
    await b.stop();
    await b.stop();
  }
});

test("a Badger datagram reaches TypeScript with its sender, other datagrams are counted", async () => {
  const a = engine(10);
  const stranger = createSocket("udp4");
  try {
    const datagram = nextEvent(a, "datagram");
    a.start();
    stranger.bind(0, "127.0.0.1");
    await once(stranger, "listening");
    for (const odd of [[0], [0, 1], [99], [25, 1, 2]])
      stranger.send(Uint8Array.from(odd), a.port, "127.0.0.1");
    stranger.send('{"Nodes":[]}', a.port, "127.0.0.1");
    const event = await alive(datagram);
    assert.equal(event.from, `127.0.0.1:${stranger.address().port}`);
    assert.equal(Buffer.from(event.data).toString(), '{"Nodes":[]}');
    assert.deepEqual(a.counters().drops, { "unknown-type": 1, punch: 1, reserved: 1, "malformed-record": 1 });

    const answer = once(stranger, "message");
    a.send(event.from, Buffer.from("{}"));
    assert.equal(String((await alive(answer))[0]), "{}");
  } finally {
    stranger.close();
    await a.stop();
  }
});

test("an engine that was stopped holds no descriptor, takes no command, and still shows its counters", async () => {
  const open = () => readdirSync("/proc/self/fd").length;
  // The first one loads what every process has once.
  await engine(1).stop();
  // What earlier tests closed may still be going; a leak would be of one descriptor for each engine, at least.
  const before = open();
  const stopped = Array.from({ length: 5 }, (_, index) => engine(index + 1));
  for (const one of stopped) {
    one.start();
    await one.stop();
    await one.stop();
  }
  assert.ok(open() < before + stopped.length, `${open()} descriptors after ${before}`);
  const [one] = stopped;
  assert.ok(one);
  one.setIdentity(identity(9));
  one.setPeer(1, ["10.0.0.2/32"]);
  one.connect(1, "127.0.0.1:9");
  one.send("127.0.0.1:9", bytes(4, 1));
  one.removePeer(1);
  assert.equal(one.peerCounters(1), undefined);
  assert.deepEqual(one.unknownDestinations(), []);
  assert.equal(one.counters().txPackets, 0);
});

test("arguments of the wrong shape are TypeErrors that name them", async () => {
  const a = engine(10);
  try {
    assert.throws(() => a.connect(1, "127.0.0.1"), { name: "TypeError", message: /endpoint/ });
    assert.throws(() => a.connect(0, "127.0.0.1:1"), { name: "TypeError", message: /tag/ });
    assert.throws(() => a.connect(1, "127.0.0.1:1", 0), { name: "TypeError", message: /epoch/ });
    assert.throws(() => a.connect(1.5, "127.0.0.1:1"), { name: "TypeError", message: /tag/ });
    assert.throws(() => a.setPeer(1, ["10.0.0.1/33"]), { name: "TypeError", message: /prefix/ });
    assert.throws(() => a.ping(1, 1n << 64n), { name: "TypeError", message: /token/ });
    assert.throws(() => a.ping(1, -1n), { name: "TypeError", message: /token/ });
    assert.throws(() => a.sendControl(1, bytes(4, 0x18)), { name: "TypeError", message: /type/ });
    assert.throws(() => a.sendControl(1, bytes(1201, 0x20)), { name: "TypeError", message: /data/ });
    assert.throws(() => a.sendControl(1, bytes(0, 0)), { name: "TypeError", message: /data/ });
    assert.throws(() => a.send("[::1]:70000", bytes(1, 1)), { name: "TypeError", message: /endpoint/ });
    assert.throws(() => a.setIdentity({ ...identity(1), nodeSeed: bytes(31, 1) }), { message: /nodeSeed/ });
    assert.throws(() => a.setIdentity({ ...identity(1), epochs: [] }), { message: /epochs/ });
    const services = [{ protocol: "tcp", first: 22, last: 21 }] as const;
    assert.throws(() => a.setFilter({ rules: [{ allow: true, services }], allowOthers: true }), {
      name: "TypeError",
      message: /last/,
    });
    assert.throws(
      () => a.setFilter({ rules: [{ allow: true, services: [], sources: ["x"] }], allowOthers: true }),
      { name: "TypeError", message: /prefix/ },
    );
    assert.throws(() => makeSocket({ family: 4, kind: "udp", port: 65536 }), { message: /port/ });
    assert.throws(() => makeSocket({ family: 4, kind: "udp", port: 0, address: "::1" }), { code: "EINVAL" });
  } finally {
    await a.stop();
  }
  a.connect(1, "127.0.0.1:1");
  assert.equal(a.counters().rxPackets, 0);
});

test("a port that is taken is the system's error", () => {
  const first = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" });
  try {
    const { port } = first;
    assert.throws(() => makeSocket({ family: 4, kind: "udp", port, address: "127.0.0.1" }), {
      code: "EADDRINUSE",
    });
  } finally {
    closeFd(first.fd);
  }
  assert.throws(() => closeFd(first.fd), { code: "EBADF" });
});

test("a lock is held once, and free when its descriptor is closed", () => {
  const folder = mkdtempSync(join(tmpdir(), "vpnd-lock-"));
  try {
    const path = join(folder, "lock");
    const held = lockFile(path);
    assert.ok(held !== undefined);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(lockFile(path), undefined);
    closeSync(held);
    const again = lockFile(path);
    assert.ok(again !== undefined);
    closeSync(again);
    assert.throws(() => lockFile(join(folder, "none", "lock")), { code: "ENOENT" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the other end of a Unix socket has our credentials", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vpnd-cred-"));
  const server = createServer().listen(join(folder, "s"));
  const client = createConnection(join(folder, "s"));
  try {
    const [accepted] = (await once(server, "connection")) as [Socket & { _handle: { fd: number } }];
    assert.deepEqual(peerCredentials(accepted._handle.fd), {
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    const line = /^Groups:(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    assert.deepEqual(peerGroups(accepted._handle.fd), line.split(/\s+/).filter(Boolean).map(Number));
    accepted.destroy();
  } finally {
    client.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  }
});

test("signals are no errors of whoever asks for a hang-up", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vpnd-hup-"));
  const server = createServer({ pauseOnConnect: true }).listen(join(folder, "s"));
  const client = createConnection(join(folder, "s"));
  const heard = (): void => {};
  process.on("SIGUSR2", heard);
  const storm = `const end = Date.now() + 1000; while (Date.now() < end) process.kill(${process.pid}, "SIGUSR2");`;
  const child = spawn(process.execPath, ["-e", storm]);
  try {
    const [accepted] = (await once(server, "connection")) as [Socket & { _handle: { fd: number } }];
    while (child.exitCode === null) {
      for (let i = 0; i < 10_000; i++) assert.equal(hungUp(accepted._handle.fd), false);
      await setImmediate();
    }
    assert.equal(child.exitCode, 0);
    accepted.destroy();
  } finally {
    child.kill("SIGKILL");
    process.off("SIGUSR2", heard);
    client.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  }
});

test("a hang-up is seen though nothing is read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vpnd-hup-"));
  const server = createServer({ pauseOnConnect: true }).listen(join(folder, "s"));
  const client = createConnection(join(folder, "s"));
  try {
    const [accepted] = (await once(server, "connection")) as [Socket & { _handle: { fd: number } }];
    await new Promise((resolve) => client.write("unread", resolve));
    assert.equal(hungUp(accepted._handle.fd), false);
    client.destroy();
    await once(client, "close");
    assert.equal(hungUp(accepted._handle.fd), true);
    accepted.destroy();
    assert.throws(() => hungUp(1 << 20), { code: "EBADF" });
  } finally {
    client.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  }
});

test("a device name that does not fit is refused with a hint", () => {
  assert.throws(
    () => openTun({ name: "a-name-that-is-too-long" }),
    (error: unknown) => error instanceof VpnError && error.code === "conflict" && error.hint !== undefined,
  );
});

test("a missing addon is said with what to do", () => {
  const source = `import(${JSON.stringify(new URL("./native.ts", import.meta.url).href)}).then((native) => {
    try { native.dataCiphers(); } catch (error) { console.log(error.name, error.message, "|", error.hint); }
  });`;
  const run = spawnSync(process.execPath, ["--import", "tsx", "-e", source], {
    encoding: "utf8",
    env: { ...process.env, VPND_ADDON: "/nowhere/vpnd.node" },
  });
  assert.equal(
    run.stdout,
    "VpnError cannot load the native addon /nowhere/vpnd.node: it is not built | run: npm run build\n",
  );
});

test("packets to an address that nobody has are counted and their destination is remembered", async () => {
  const tun = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" });
  const a = engine(10, tun);
  const inside = createSocket("udp4");
  try {
    a.start();
    const packet = Buffer.from("45000014000000004011" + "0000" + "0a000001" + "0a000063", "hex");
    for (let i = 0; i < 3; i++) inside.send(packet, tun.port, "127.0.0.1");
    const deadline = Date.now() + 10_000;
    while ((a.counters().drops["unknown-destination"] ?? 0) < 3 && Date.now() < deadline)
      await setImmediate();
    assert.equal(a.counters().drops["unknown-destination"], 3);
    assert.deepEqual(a.unknownDestinations(), [{ address: "10.0.0.99", packets: 3 }]);
  } finally {
    inside.close();
    await a.stop();
  }
});

const addonPath = fileURLToPath(new URL("../../../native/build/vpnd.node", import.meta.url));
/** Makes and starts an engine with a handshake to itself under way, then does `ending`. */
const program = (ending: string, handler = "") => `
  const { MeshEngine, makeSocket, socketPort } = require(${JSON.stringify(addonPath)});
  const fill = (n) => new Uint8Array(n).fill(1);
  const udp = () => makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1", mark: 0, shared: false }).fd;
  const fd = udp();
  const engine = new MeshEngine({
    identity: { badger: false, nodeSeed: fill(32), epochs: [{ id: 1, dtlsPsk: fill(32), identityKey: fill(32),
      probePsk: fill(64), networkId: fill(32), record: fill(1) }] },
    tunFd: udp(), mtu: 1400, threads: 2, pingIntervalMs: 1000, deadAfterMs: 5000, sockets: [{ family: 4, fd }],
  }, () => { ${handler} });
  engine.start();
  engine.connect(1, "127.0.0.1:" + socketPort(fd));
  ${ending}`;

for (const [ending, code, status] of [
  ["by running out of work", "", 0],
  ["by process.exit", "process.exit(3)", 3],
  ["by an exception", "throw new Error('meant')", 1],
  ["after two stops", "engine.stop(); engine.stop();", 0],
] as const) {
  test(`a process with a running engine ends ${ending}`, async () => {
    const child = spawn(process.execPath, ["-e", program(code)], { stdio: "ignore" });
    assert.deepEqual(await once(child, "exit"), [status, null]);
  });
}

test("an exception of the handler is the process's", async () => {
  const caught = "process.on('uncaughtException', () => process.exit(5)); setTimeout(() => {}, 20000);";
  const child = spawn(process.execPath, ["-e", program(caught, "throw new Error('meant')")], {
    stdio: "ignore",
  });
  assert.deepEqual(await once(child, "exit"), [5, null]);
});

test("a worker with a running engine can be terminated", async () => {
  const worker = new Worker(program("require('node:worker_threads').parentPort.postMessage('on')"), {
    eval: true,
  });
  await once(worker, "message");
  await worker.terminate();
});

test("a port is shared by those sockets that want to", () => {
  const at = { family: 4, kind: "udp", address: "127.0.0.1" } as const;
  const { fd, port } = makeSocket({ ...at, port: 0, shared: true });
  const more = makeSocket({ ...at, port, shared: true });
  assert.throws(() => makeSocket({ ...at, port }), { code: "EADDRINUSE" });
  closeFd(fd);
  closeFd(more.fd);
});
