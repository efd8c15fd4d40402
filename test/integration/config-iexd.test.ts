import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { IexdProcess } from "./support/iexd.js";

const deadlineMs = 60_000;
let folder = "";
let server: IexdProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "iexd-config-"));
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  rmSync(folder, { recursive: true });
});

const file = (): string => join(folder, "iexd.toml");
const write = (text: string): void => writeFileSync(file(), text, { mode: 0o644 });

test("a config file is read, and flags win over it", async () => {
  write('max_nodes = 7\nlisten = ["127.0.0.1:1"]\n[log]\nlevel = "debug"\n');
  const checked = await IexdProcess.run("--config", file(), "--check-config", "--listen", "127.0.0.1:0");
  assert.equal(checked.code, 0);
  assert.match(checked.stdout, /max_nodes = 7 +# .*iexd\.toml:1\n/);
  assert.match(checked.stdout, /listen = \[ "127\.0\.0\.1:0" \] +# --listen\n/);
  assert.match(checked.stdout, /level = "debug" +# .*iexd\.toml:4\n/);
  server = await IexdProcess.start("--config", file());
  assert.match(server.listen[0] ?? "", /^127\.0\.0\.1:\d{2,}$/);
});

test("a mistake ends the start with exit code 2", async () => {
  write("maxnodes = 7\n");
  const ended = await IexdProcess.run("--config", file());
  assert.equal(ended.code, 2);
  assert.match(ended.stderr, /iexd\.toml:1: unknown key maxnodes\ndid you mean max_nodes\?/);
  write("badger = false\nmax_nodes = 0\n");
  const checked = await IexdProcess.run("--config", file(), "--check-config");
  assert.equal(checked.code, 2);
  assert.match(checked.stderr, /:1: badger can only be true[\s\S]*:2: max_nodes must be at least 1/);
});

test("SIGHUP applies who is heard; a bad file changes nothing", async () => {
  write('badger_allow = ["192.0.2.0/24"]\n');
  server = await IexdProcess.start("--config", file(), "--log-level", "debug");
  const [address = "", port = ""] = server.listen[0]?.split(":") ?? [];
  const node = createSocket("udp4");
  node.bind(0, "127.0.0.1");
  await once(node, "listening");
  const answered = once(node, "message");
  const heartbeat = JSON.stringify({ VirtualIP: "10.0.0.1", PrivateIP: "192.168.0.1:3000" });
  const beat = setInterval(() => node.send(heartbeat, Number(port), address), 50);
  try {
    write("badger_allow = [3]\n");
    server.kill("SIGHUP");
    await server.logged((line) => line.msg === "config not reloaded: nothing changed", deadlineMs);
    write('badger_allow = ["127.0.0.0/8"]\nmax_nodes = 9\n');
    server.kill("SIGHUP");
    const restart = await server.logged((line) => Array.isArray(line.keys), deadlineMs);
    assert.deepEqual(restart.keys, ["max_nodes"]);
    const [map] = await answered;
    assert.match(String(map), /10\.0\.0\.1/);
  } finally {
    clearInterval(beat);
    node.close();
  }
});
