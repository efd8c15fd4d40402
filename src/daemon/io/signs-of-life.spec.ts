import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { MeshEngine } from "../core/engine.js";
import { createMeshEngine, makeSocket } from "./native.js";

const bytes = (size: number) => new Uint8Array(size).fill(1);

function engine(tunFd: number, threads: 1 | 2): MeshEngine {
  const socket = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" });
  return createMeshEngine({
    identity: {
      badger: false,
      nodeSeed: bytes(32),
      epochs: [
        {
          id: 1,
          dtlsPsk: bytes(32),
          identityKey: bytes(32),
          probePsk: bytes(64),
          networkId: bytes(32),
          record: bytes(10),
        },
      ],
    },
    tunFd,
    mtu: 1400,
    sockets: [{ family: 4, fd: socket.fd }],
    threads,
    pingIntervalMs: 1000,
    deadAfterMs: 5000,
  });
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < end, `waited for: ${what}`);
    await delay(10);
  }
}

/** Whether a packet thread of this process waits in read(2), where it never should. */
function hangs(): boolean {
  return readdirSync("/proc/self/task").some((task) => {
    const about = (file: string): string => readFileSync(`/proc/self/task/${task}/${file}`, "utf8");
    return about("comm").trim() === "vpnd-packet" && about("syscall").startsWith(`${readNumber} `);
  });
}
const readNumber = process.arch === "x64" ? 0 : 63;

for (const threads of [1, 2] as const) {
  test(`${threads} packet threads and the control thread answer, time and again`, async () => {
    const tun = makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" });
    const one = engine(tun.fd, threads);
    try {
      assert.equal(one.responds?.(), true, "nothing was asked before");
      assert.equal(one.responds?.(), false, "no thread runs yet");
      one.start();
      for (let round = 0; round < 3; round += 1) {
        await until(() => one.responds?.() === true, "an answer");
      }
    } finally {
      await one.stop();
    }
    assert.equal(one.responds?.(), true, "stopped on purpose");
  });
}

test("a packet thread that hangs is found out, and forgiven when it goes on", {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "vpnd-hang-"));
  const path = join(folder, "tun");
  execFileSync("mkfifo", [path]);
  // A device whose descriptor blocks: the second read waits for a packet that does not come.
  const feeder = spawn("sh", ["-c", 'exec cat > "$0"', path], { stdio: ["pipe", "ignore", "inherit"] });
  const ended = once(feeder, "exit");
  let one: MeshEngine | undefined;
  try {
    const hanging = engine(openSync(path, "r"), 2);
    one = hanging;
    hanging.start();
    feeder.stdin.write("x");
    await until(hangs, "the thread hangs");
    hanging.responds?.();
    for (let round = 0; round < 5; round += 1) {
      await delay(20);
      assert.equal(hanging.responds?.(), false);
    }
    feeder.kill("SIGKILL");
    await ended;
    await until(() => hanging.responds?.() === true, "an answer");
  } finally {
    feeder.kill("SIGKILL");
    await ended;
    await one?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
