/** kill -9 between any two steps of the journal: `vpnd --cleanup` restores the machine exactly. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { giveResolvConf, takeResolvConf } from "../support/resolv-conf.js";
import { Bench, skip } from "./support/daemon.js";
import { changed, inNetns, makeForeign, netState } from "./support/net-state.js";

const program = new URL("../../bin/vpnd", import.meta.url).pathname;
/** Longer than what takes its place, so that a half written one shows. */
const resolvConf = `${"# of the machine\n".repeat(30)}nameserver 192.0.2.53\n`;
let bench: Bench;

before(() => {
  if (skip) return;
  bench = new Bench();
  makeForeign(bench.netns);
  giveResolvConf(bench.netns, resolvConf);
  bench.ip("tuntap", "add", "dev", "tun7", "mode", "tun");
  bench.ip("link", "set", "tun7", "mtu", "1300");
  bench.ip("addr", "add", "198.51.100.1/24", "dev", "tun7");
  bench.ip("addr", "add", "2001:db8:51::1/64", "dev", "tun7");
});
after(async () => {
  if (skip) return;
  takeResolvConf(bench.netns);
  await bench.close();
});

async function scene(killAt: number): Promise<{ killed: boolean; output: string }> {
  const program = bench.start("test/integration/support/door-scene.ts", [bench.stateDir, `${killAt}`]);
  const end = await program.ended();
  assert.ok(end === "SIGKILL" || end === 0, `${killAt}: ${end} ${program.errors}`);
  return { killed: end === "SIGKILL", output: program.output };
}

test("the machine is restored from each point at which vpnd may be killed", { skip }, async (t) => {
  const before = netState(bench.netns);
  const whole = await scene(0);
  assert.deepEqual(changed(before, netState(bench.netns)), []);
  const points = Number(/whole (\d+)/.exec(whole.output)?.[1]);
  assert.ok(points > 40, `only ${points} points`);
  t.diagnostic(`${points} points`);
  const cleanup = ["--cleanup", "--state-dir", bench.stateDir, "--socket", bench.socket];
  let dirty = 0;
  for (let point = 1; point <= points; point++) {
    const { killed } = await scene(point);
    assert.ok(killed, `point ${point} was not reached`);
    if (changed(before, netState(bench.netns)).length > 0) dirty++;
    const said = inNetns(bench.netns, program, cleanup);
    assert.deepEqual(changed(before, netState(bench.netns)), [], `killed at point ${point}: ${said}`);
    assert.equal(bench.journal(), undefined);
    assert.ok(!existsSync(join(bench.stateDir, "journal.json.tmp")));
  }
  // Otherwise the clean-up had nothing to do, and the test shows nothing.
  assert.ok(dirty > points / 3, `the machine was changed at ${dirty} of ${points} points only`);
});
