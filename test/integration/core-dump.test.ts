import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const psk = "vpsk1_a-secret-that-must-not-be-found";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "vpnctl-core-"));
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Crashes a join that has read its PSK and waits for the daemon. Returns the names of the files that it left. */
async function crash(launcher: string): Promise<string[]> {
  const cwd = await mkdtemp(join(folder, "run-"));
  const socket = join(folder, "vpnd.sock");
  const connections: Socket[] = [];
  // A daemon that takes connections and never answers.
  const server = createServer((connection) => connections.push(connection.on("error", () => {})));
  server.listen(socket);
  await once(server, "listening");
  const call = `--socket ${socket} join --iex 127.0.0.1:1 --vip 10.0.0.1/24 --badger --psk-file -`;
  const child = spawn("/bin/sh", ["-c", `ulimit -c unlimited; exec ${launcher} ${call}`], {
    cwd,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.stdin.end(`${psk}\n`);
  const ended = once(child, "exit");
  // vpnctl tries the socket first, and dials gRPC when it holds the request.
  while (connections.length < 2) await once(server, "connection");
  child.kill("SIGSEGV");
  await ended;
  for (const connection of connections) connection.destroy();
  server.close();
  return readdir(cwd);
}

test("a crash of vpnctl leaves no core that holds the key", async (t) => {
  const pattern = (await readFile("/proc/sys/kernel/core_pattern", "utf8")).trim();
  assert.deepEqual(await crash(join(root, "bin/vpnctl")), []);
  if (pattern.startsWith("|") || pattern.includes("/"))
    return t.diagnostic(`cores go to ${pattern}: no counter-check`);
  const left = await crash(`node ${join(root, "dist/ctl/main.js")}`);
  assert.equal(left.length, 1, "without the launcher's limit there is a core, so this test can fail");
});
