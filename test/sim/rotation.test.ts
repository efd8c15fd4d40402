/** A change of PSKs in virtual time, in every order, with loss and restarts. */
import assert from "node:assert/strict";
import type { SimNode } from "./node.js";
import { type Simulation, simTest } from "./simulation.js";

function mesh(s: Simulation, count: number): SimNode[] {
  const nodes = Array.from({ length: count }, (_, index) => s.node(`10.0.0.${10 + index}`));
  assert.ok(
    s.until(() => s.meshed(), 120_000),
    "meshed",
  );
  return nodes;
}

/** Runs on, and fails at the first moment at which a node has no session with another one. */
function runWithoutGap(s: Simulation, nodes: readonly SimNode[], ms: number): void {
  const isWhole = () => nodes.every((a) => nodes.every((b) => a === b || a.sendTo(b.options.virtualIp)));
  for (let passed = 0; passed < ms; passed += 100) {
    s.clock.run(100);
    assert.ok(isWhole(), `a session is missing after ${passed} ms`);
  }
}

function shuffled(s: Simulation, nodes: readonly SimNode[]): SimNode[] {
  return nodes
    .map((node) => ({ node, at: s.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ node }) => node);
}

const epochsOf = (node: SimNode) => new Set(node.view().peers.map((peer) => peer.pskEpoch));

simTest("in whatever order nodes get the new PSK, no session is ever missing", 8, (s) => {
  const nodes = mesh(s, 4);
  s.network.options = { loss: s.random() < 0.5 ? 0 : 0.05, minDelayMs: 5, maxDelayMs: 80 };
  for (const node of shuffled(s, nodes)) {
    node.setPsks(["new", "psk"]);
    runWithoutGap(s, nodes, Math.floor(s.random() * 20_000));
  }
  runWithoutGap(s, nodes, 60_000);
  for (const node of nodes) assert.equal(epochsOf(node).size, 1, "all sessions run under one PSK");
  for (const node of shuffled(s, nodes)) {
    node.setPsks(["new"]);
    runWithoutGap(s, nodes, 2_000);
  }
  s.network.options = { ...s.network.options, loss: 0 };
  for (const a of nodes) for (const b of nodes) if (a !== b) assert.ok(s.talks(a, b));
});

simTest("who missed the new PSK is shut out, told so, and comes back with it", 4, (s) => {
  const nodes = mesh(s, 3);
  const [missed] = shuffled(s, nodes);
  assert.ok(missed);
  const others = nodes.filter((node) => node !== missed);
  for (const node of others) node.setPsks(["new", "psk"]);
  runWithoutGap(s, nodes, 60_000);
  for (const node of others) node.setPsks(["new"]);
  assert.ok(
    s.until(() => {
      const pairs = others.flatMap((node) => [
        node.peer(missed.options.virtualIp),
        missed.peer(node.options.virtualIp),
      ]);
      return pairs.every((peer) => peer?.reason?.code === "wrong-psk" && peer.state === "refused");
    }, 60_000),
    "wrong-psk on both ends",
  );
  runWithoutGap(s, others, 1_000);
  missed.setPsks(["new"]);
  assert.ok(s.until(() => s.meshed(), 60_000));
});

simTest("a node that restarts under either PSK finds the others", 4, (s) => {
  const nodes = mesh(s, 3);
  for (const node of nodes) node.setPsks(["new", "psk"]);
  s.clock.run(60_000);
  for (const node of nodes) {
    node.stop(s.random() < 0.5);
    s.clock.run(1_000);
    // Its options still hold the old PSK, and no other.
    node.start();
    assert.ok(s.until(() => s.meshed(), 120_000));
    node.setPsks(["new", "psk"]);
    runWithoutGap(s, nodes, 40_000);
    for (const one of nodes) assert.equal(epochsOf(one).size, 1);
  }
});

simTest("a PSK that nobody else has costs few handshakes", 2, (s) => {
  const nodes = mesh(s, 3);
  const leader = nodes.at(-1);
  assert.ok(leader);
  s.clock.run(30_000);
  const before = leader.connects();
  leader.setPsks(["new", "psk"]);
  runWithoutGap(s, nodes, 600_000);
  const per = (leader.connects() - before) / 2;
  assert.ok(per < 40, `${per} handshakes for each peer in ten minutes`);
});
