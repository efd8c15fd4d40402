/** `vpnctl probe` against the real vpnd: without root, without a vpnd of its own. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../lab/lab.js";
import { repository } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";

interface Scene {
  asking: Host;
  strong: Daemon;
  strongKey: string;
  weak: Daemon;
  weakKey: string;
  iex: string;
}

interface Verdict {
  reachable: boolean;
  pskMatches: boolean;
  state: string;
  endpoint: string;
  pskFingerprint: string;
}

let files = 0;

async function portOf(daemon: Daemon): Promise<number> {
  const network = await daemon.json<{ listenPort: number }>(["network"]);
  return network.listenPort;
}

/** As user nobody, with no socket of vpnd in reach. */
async function probe(from: Host, to: string, key: string, more: readonly string[] = []) {
  files += 1;
  const file = join(from.folder, `probe-${files}`);
  writeFileSync(file, `${key}\n`);
  const vpnctl = join(repository, "bin/vpnctl");
  const args = ["--socket", "/nonexistent", "probe", to, "--psk-file", "-", ...more];
  const script = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@" < "$0"';
  return from.exec("sh", ["-c", script, file, vpnctl, ...args], {
    env: { NO_COLOR: "1" },
    timeoutMs: 30_000,
  });
}

async function verdict(from: Host, to: string, key: string, more: readonly string[] = []) {
  const result = await probe(from, to, key, ["--json", ...more]);
  const document: Verdict = JSON.parse(result.stdout || "{}");
  return { code: result.code, ...document };
}

labSuite<Scene>(
  "probe",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    const iex = `${server.address}:${iexPort}`;
    const [asking, a, b] = [
      await lab.publicHost("asking"),
      await lab.publicHost("a"),
      await lab.publicHost("b"),
    ];
    const [strong, weak] = [await vpnd(a), await vpnd(b)];
    const [strongKey, weakKey] = [await pskGenerate(), "a weak phrase"];
    await strong.join({ iex, psk: strongKey, vip: "10.70.0.1/24" });
    await weak.join({ iex, psk: weakKey, vip: "10.71.0.1/24", badger: true });
    return { asking, strong, strongKey, weak, weakKey, iex };
  },
  (step) => {
    step(
      "right and wrong PSK, with and without --badger",
      async ({ asking, strong, strongKey, weak, weakKey }) => {
        const at = `${strong.host.address}:${await portOf(strong)}`;
        const text = await probe(asking, at, strongKey);
        assert.deepEqual([text.code, text.stderr], [0, ""]);
        assert.match(
          text.stdout,
          /^\S+ is there, and has this PSK \(handshake [\d.]+ ms\)\n# psk fingerprint \w{8}\n$/,
        );
        const right = await verdict(asking, at, strongKey);
        assert.deepEqual([right.code, right.state, right.endpoint], [0, "ok", at]);
        const other = await probe(asking, at, await pskGenerate());
        assert.equal(other.code, 1);
        assert.match(other.stderr, /is there, but has another PSK\n.*psk status/);
        const bad = await verdict(asking, at, await pskGenerate());
        assert.deepEqual([bad.code, bad.state, bad.reachable, bad.pskMatches], [1, "wrong-psk", true, false]);

        const weakAt = `${weak.host.address}:${await portOf(weak)}`;
        const badger = ["--badger"];
        assert.equal((await verdict(asking, weakAt, weakKey, badger)).code, 0);
        assert.equal((await verdict(asking, weakAt, "another phrase", badger)).state, "wrong-psk");
      },
    );

    step("a probe makes no tunnel and disturbs none", async ({ asking, strong, strongKey }) => {
      const at = `${strong.host.address}:${await portOf(strong)}`;
      for (let i = 0; i < 5; i++) assert.equal((await verdict(asking, at, strongKey)).code, 0);
      const { peers } = await strong.peers();
      assert.deepEqual(peers, []);
    });

    step("while the PSK is being changed both are right", async ({ asking, strong, strongKey }) => {
      const at = `${strong.host.address}:${await portOf(strong)}`;
      const next = join(strong.host.folder, "next.psk");
      const key = await pskGenerate();
      writeFileSync(next, key, { mode: 0o600 });
      await strong.ok(["psk", "set", "--psk-file", next]);
      assert.equal((await verdict(asking, at, key)).state, "ok");
      assert.equal((await verdict(asking, at, strongKey)).state, "ok");
      assert.equal((await verdict(asking, at, await pskGenerate())).state, "wrong-psk");
      assert.equal((await verdict(asking, at, key)).state, "ok");
      await strong.ok(["psk", "set", "--psk-file", next, "--grace", "0"]);
      assert.equal((await verdict(asking, at, strongKey)).state, "wrong-psk");
    });

    step("nobody there: exit 8", async ({ asking, strong }) => {
      const key = await pskGenerate();
      const closed = await verdict(asking, `${strong.host.address}:9`, key);
      assert.deepEqual([closed.code, closed.state, closed.reachable], [8, "port-closed", false]);
      // An address that nobody has.
      const silent = await probe(asking, "192.0.2.123:4000", key, ["--timeout", "2s"]);
      assert.equal(silent.code, 8);
      assert.match(silent.stderr, /does not answer|cannot reach/);
      const nameless = await probe(asking, "no-such-host.invalid:4000", key);
      assert.equal(nameless.code, 8);
      assert.match(nameless.stderr, /has no address/);
    });

    step("iexd answers no DTLS: exit 8", async ({ asking, iex }) => {
      const result = await verdict(asking, iex, await pskGenerate(), ["--timeout", "2s"]);
      assert.deepEqual([result.code, result.state], [8, "no-reply"]);
    });
  },
);
