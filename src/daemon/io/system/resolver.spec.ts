import assert from "node:assert/strict";
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { ResolvConf } from "../../core/system/resolver-items.js";
import { resolverExecutor } from "./resolver.js";

const noProgram = () => Promise.reject(new Error("nothing is to be run"));
const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;
const ours: ResolvConf = { type: "file", text: "nameserver 10.9.0.1\n", mode: 0o644, uid, gid };

describe("resolv.conf on disk", () => {
  let folder = "";
  let path = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "vpnd-resolv-"));
    path = join(folder, "resolv.conf");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const both = async (inPlace: boolean): Promise<void> => {
    const { run, read } = resolverExecutor(noProgram, path);
    const before = await read([]);
    await run({ type: "resolv-conf", content: ours, inPlace });
    assert.equal((await read([])).text, ours.text);
    await run({ type: "resolv-conf", content: before.file, inPlace });
    assert.deepEqual(await read([]), before);
  };

  it("is exchanged and comes back with its mode and every byte", async () => {
    writeFileSync(path, Buffer.from([0x23, 0xe9, 0xff, 0x0a]));
    chmodSync(path, 0o640);
    await both(false);
    assert.deepEqual([...readFileSync(path)], [0x23, 0xe9, 0xff, 0x0a]);
    assert.equal(lstatSync(path).mode & 0o777, 0o640);
    assert.deepEqual(readdirSync(folder), ["resolv.conf"]);
  });

  it("is a link again if it was one, and its target was not touched", async () => {
    const target = join(folder, "target");
    writeFileSync(target, "nameserver 192.0.2.1\n");
    symlinkSync("target", path);
    const { run, read } = resolverExecutor(noProgram, path);
    const before = await read([]);
    assert.equal(before.text, "nameserver 192.0.2.1\n");
    await run({ type: "resolv-conf", content: ours, inPlace: false });
    assert.ok(lstatSync(path).isFile());
    assert.equal(readFileSync(target, "utf8"), "nameserver 192.0.2.1\n");
    await run({ type: "resolv-conf", content: before.file, inPlace: false });
    assert.equal(readlinkSync(path), "target");
  });

  it("is absent again if there was none, or a link to nothing", async () => {
    await both(false);
    assert.deepEqual(readdirSync(folder), []);
    symlinkSync("nothing", path);
    await both(false);
    assert.equal(readlinkSync(path), "nothing");
  });

  it("stays the same file when it is written in place", async () => {
    writeFileSync(path, `# long\n${"x".repeat(500)}\n`);
    const { ino } = lstatSync(path);
    await both(true);
    assert.equal(lstatSync(path).ino, ino);
  });

  it("is not taken when it is larger than can be kept", async () => {
    writeFileSync(path, "#".repeat((64 << 10) + 1));
    assert.match((await resolverExecutor(noProgram, path).read([])).obstacle ?? "", /larger/);
  });

  it("says what is in the way", async () => {
    const { run } = resolverExecutor(noProgram, join(folder, "missing", "resolv.conf"));
    await assert.rejects(
      run({ type: "resolv-conf", content: ours, inPlace: false }),
      /cannot write .*missing/,
    );
  });
});

describe("systemd-resolved", () => {
  it("is told by resolvectl, whose complaints are passed on", async () => {
    const { run } = resolverExecutor(async (program, args) => ({
      code: 1,
      stdout: "",
      stderr: `${program} ${args.join("|")}: no such thing\nmore\n`,
    }));
    await assert.rejects(
      run({ type: "resolvectl", args: ["dns", "vpn-x", "10.9.0.1"] }),
      /resolvectl dns vpn-x 10\.9\.0\.1: resolvectl dns\|vpn-x\|10\.9\.0\.1: no such thing/,
    );
  });
});
