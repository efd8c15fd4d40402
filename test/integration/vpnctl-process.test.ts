import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { CannedServer } from "./support/vpnctl-server.js";

const server = new CannedServer();
const root = new URL("../..", import.meta.url).pathname;
/** Tells at its end whether gRPC was loaded. */
const spy = `data:text/javascript,${encodeURIComponent(
  'import module from "node:module"; process.on("exit", () => { const used = Object.keys(module._cache).some((name) => name.includes("grpc-js")); process.stderr.write(used ? "GRPC" : "NO-GRPC"); });',
)}`;

before(() => server.start());
after(() => server.stop());

function start(argv: readonly string[], ...nodeFlags: string[]): ChildProcess {
  return spawn(process.execPath, ["--import", "tsx", ...nodeFlags, "src/ctl/main.ts", ...argv], {
    cwd: root,
    env: { ...process.env, VPND_SOCKET: server.socket, NO_COLOR: "" },
  });
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function ended(child: ChildProcess): Promise<Ended> {
  let out = "";
  let err = "";
  child.stdout?.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}

for (const line of [
  "--help",
  "--version",
  "psk generate",
  "completion bash",
  "join --help",
  "join --vip auto",
])
  test(`vpnctl ${line} does not load gRPC`, async () => {
    const { err } = await ended(start(line.split(" "), "--import", spy));
    assert.match(err, /NO-GRPC$/);
  });

test("vpnctl peers loads gRPC, prints a table without escapes into a pipe, and ends by itself", async () => {
  const { code, out, err } = await ended(start(["peers"], "--import", spy));
  assert.equal(code, 0, err);
  assert.equal(err, "GRPC");
  assert.match(out, /^IP {2,}NAME/);
  assert(!out.includes("\u001b"));
});

test("Ctrl-C ends a watch with 130", async () => {
  const child = start(["peers", "--watch"]);
  child.stdout?.once("data", () => child.kill("SIGINT"));
  const { code, err } = await ended(child);
  assert.equal(code, 130);
  assert.equal(err, "");
});

test("a reader that closed the pipe is no error", async () => {
  const child = start(["ping", "nas", "-c", "100000"]);
  child.stdout?.once("data", () => child.stdout?.destroy());
  const { code, err } = await ended(child);
  assert.equal(code, 0, err);
  assert.equal(err, "");
});

test("the key comes from standard input with --psk-file -", async () => {
  const child = start("join home --iex h --vip 10.0.0.1/16 --psk-file -".split(" "));
  const key = Buffer.alloc(32, 9).toString("hex");
  child.stdin?.end(`${key}\n`);
  const { code, err } = await ended(child);
  assert.equal(code, 0, err);
  const carrier = server.lastJoin?.carrier;
  assert.ok(carrier?.case === "mesh");
  assert.equal(Buffer.from(carrier.value.psk).toString(), `${key}\n`);
});

test("completion scripts are accepted by bash", async () => {
  const { out } = await ended(start(["completion", "bash"]));
  const bash = spawn("bash", ["-n"]);
  bash.stdin.end(out);
  assert.equal((await ended(bash)).code, 0);
  assert.match(out, /peer\) words="show remove"/);
});
