/** Who has another PSK never gets a tunnel, and both ends are told so; secrets stay secret. */
import assert from "node:assert/strict";
import { iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { ping } from "../lab/traffic.js";

interface Scene {
  iex: string;
}

labSuite<Scene>(
  "psk",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    return { iex: `${server.address}:${iexPort}` };
  },
  (step) => {
    for (const badger of [false, true])
      step(
        `another PSK ${badger ? "with" : "without"} --badger: wrong-psk on both ends`,
        async (scene, lab) => {
          const tag = badger ? "b" : "v";
          const net = badger ? "10.41.0" : "10.40.0";
          const keys = badger
            ? ["first phrase", "second phrase"]
            : [await pskGenerate(), await pskGenerate()];
          const a = await vpnd(await lab.publicHost(`${tag}1`));
          const b = await vpnd(
            await lab.hostBehind(`${tag}2`, await lab.router(`${tag}r`, "port-restricted")),
          );
          await Promise.all([
            a.join({ iex: scene.iex, psk: keys[0] ?? "", vip: `${net}.1/24`, badger }),
            b.join({ iex: scene.iex, psk: keys[1] ?? "", vip: `${net}.2/24`, badger }),
          ]);
          for (const [daemon, peer] of [
            [a, `${net}.2`],
            [b, `${net}.1`],
          ] as const) {
            const seen = await daemon.peer(
              peer,
              (p) => p.reason?.code === "wrong-psk",
              45_000,
              "as wrong-psk",
            );
            assert.notEqual(seen.state, "up");
            assert.equal(seen.lastHandshake, undefined);
          }
          assert.equal((await ping(a.host, `${net}.2`, { count: 2, waitSeconds: 1 })).received, 0);
          for (const daemon of [a, b]) {
            for (const key of keys) {
              assert.ok(!daemon.program.log.includes(key), "a key is in the log");
              assert.ok(!(await daemon.ok(["--json", "psk", "status"])).includes(key));
            }
          }
          await Promise.all([a.stop(), b.stop()]);
        },
      );

    step("a weak PSK is refused without --badger", async (scene, lab) => {
      const daemon = await vpnd(await lab.publicHost("weak"));
      const result = await daemon.ctl(
        daemon.joinArgs({ iex: scene.iex, psk: "secret", vip: "10.42.0.1/24" }),
      );
      assert.notEqual(result.code, 0);
      assert.match(result.stderr, /psk generate/);
      assert.ok(!result.stderr.includes('"secret"'));
    });
  },
);
