/**
 * A day of fifty nodes in virtual time. Each hour has twenty minutes of churn, then forty in which nothing happens but 1 % loss:
 * in these everybody who can connect is connected, stays so through all rekeys, and nothing grows from hour to hour.
 * Two hours; SIM_DAY=1 makes it 24.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { growth, type Sample, settled } from "./growth.js";
import type { NatKind } from "./network.js";
import type { SimNode } from "./node.js";
import { type Simulation, simTest } from "./simulation.js";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const hours = process.env.SIM_DAY === "1" ? 24 : 2;
const count = 50;
const minute = 60_000;
const churnMs = 20 * minute;
const hourMs = 60 * minute;
/** After the last disturbance: a purge, the longest wait between attempts, and a handshake with losses. */
const calmedMs = 3 * minute;
/** The longest time between rekeys, and some for the rekey. */
const rekeyedMs = 18 * minute;

/** Three symmetric NATs at the largest addresses, so that they lead; the rest is mixed. */
function kindOf(index: number): NatKind {
  if (index >= count - 3) return "symmetric";
  return (["open", "full-cone", "port-restricted", "port-restricted"] as const)[index % 4] ?? "open";
}

function canConnect(a: SimNode, b: SimNode): boolean {
  const kinds = [a, b].map((node) => node.options.nat?.kind ?? "open");
  if (!kinds.includes("symmetric")) return true;
  return kinds.includes("open") || kinds.includes("full-cone");
}

function pick<T>(s: Simulation, list: readonly T[]): T {
  const one = list[Math.floor(s.random() * list.length)];
  assert.ok(one !== undefined);
  return one;
}

/** One thing that happens to the mesh. */
function disturb(s: Simulation): void {
  const node = pick(s, s.nodes);
  const kind = s.random();
  if (kind < 0.05) {
    s.server.stop();
    s.clock.after(s.random() * minute, () => s.server.start());
  } else if (kind < 0.2) node.options.nat?.forget();
  else if (node.running) node.stop(s.random() < 0.5);
  else {
    if (s.random() < 0.3) node.options.nat?.forget();
    // Without what it remembered of its own endpoints it meets itself on the map.
    if (s.random() < 0.3) node.ownEndpoints = [];
    node.start();
  }
}

function churn(s: Simulation): void {
  const end = s.clock.now + churnMs;
  while (s.clock.now < end) {
    disturb(s);
    s.clock.run(Math.min(end - s.clock.now, 2000 + Math.floor(s.random() * 20_000)));
  }
  s.server.start();
  for (const node of s.nodes) if (!node.running && s.random() < 0.8) node.start();
}

/** Pairs that should have a tunnel, each as "who>whom", and when the tunnel was last renewed. */
function tunnels(s: Simulation): { missing: string[]; handshakes: Map<string, number> } {
  const missing: string[] = [];
  const handshakes = new Map<string, number>();
  const running = s.nodes.filter((node) => node.running);
  for (const node of running) {
    const peers = new Map(node.view().peers.map((peer) => [peer.virtualIp, peer]));
    for (const other of running) {
      if (other === node || !canConnect(node, other)) continue;
      const peer = peers.get(other.options.virtualIp);
      const pair = `${node.options.virtualIp}>${other.options.virtualIp}`;
      if (peer?.state === "up") handshakes.set(pair, peer.lastHandshake ?? 0);
      else missing.push(`${pair} ${peer?.state ?? "unknown"} ${peer?.reason?.code ?? ""}`);
    }
  }
  return { missing, handshakes };
}

interface Hour {
  /** A second and node, in the calm. */
  ticks: number;
  effects: number;
  /** At the end of the hour, of the node that has most. */
  peers: number;
  pins: number;
  ownEndpoints: number;
  associations: number;
  /** Of the whole simulation. */
  tasks: number;
  heapBytes: number;
}

function work(s: Simulation): { ticks: number; effects: number } {
  const sum = { ticks: 0, effects: 0 };
  for (const node of s.nodes) {
    sum.ticks += node.work.ticks;
    sum.effects += node.work.effects;
  }
  return sum;
}

/**
 * What is alive. The test runner keeps a note of each signature, as of all that could be asynchronous, until it is collected and
 * the event loop has had a turn, which a simulation never gives it.
 */
async function heapBytes(): Promise<number> {
  collectGarbage();
  await setImmediate();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

async function calm(s: Simulation): Promise<Hour> {
  const startedAt = s.clock.now;
  s.clock.run(calmedMs);
  assert.deepEqual(tunnels(s).missing, [], `everybody is connected ${calmedMs / 1000} s after the churn`);

  // From here on no tunnel is ever missing, also not between two looks: a node says so itself when one goes.
  const lost: string[] = [];
  for (const node of s.nodes) {
    node.onEffect = (effect) => {
      if (effect.type !== "log" || effect.fields.state === undefined || effect.fields.state === "up") return;
      const other = s.nodes.find((one) => one.options.virtualIp === effect.fields.virtualIp);
      if (other?.running === true && canConnect(node, other)) {
        lost.push(`${node.options.virtualIp} at ${s.clock.now} ms: ${effect.message}`);
      }
    };
  }
  const before = work(s);
  const begin = s.clock.now;
  s.clock.run(startedAt + hourMs - churnMs - begin);
  for (const node of s.nodes) node.onEffect = () => {};
  assert.deepEqual(lost, [], "no tunnel is lost in the calm");
  const { missing, handshakes } = tunnels(s);
  assert.deepEqual(missing, []);
  const { wall, now } = s.clock.moment();
  const old = [...handshakes].filter(([, at]) => wall - at > rekeyedMs);
  assert.deepEqual(old, [], "every tunnel has fresh keys");

  const after = work(s);
  const running = s.nodes.filter((node) => node.running);
  const seconds = ((now - begin) / 1000) * running.length;
  const most = (value: (node: SimNode) => number) => Math.max(...running.map(value));
  return {
    ticks: (after.ticks - before.ticks) / seconds,
    effects: (after.effects - before.effects) / seconds,
    peers: most((node) => node.view().peers.length),
    pins: most((node) => node.pins.length),
    ownEndpoints: most((node) => node.ownEndpoints.length),
    associations: most((node) => node.associations),
    tasks: s.clock.pending,
    heapBytes: await heapBytes(),
  };
}

/** What each may be at most in any hour; the means are per node and second. */
const bounds: Hour = {
  ticks: 2,
  effects: 3,
  peers: count - 1,
  pins: count - 1,
  ownEndpoints: 16,
  // One with each peer, and at most as many that drain or are under way.
  associations: 2 * count,
  tasks: 30 * count,
  heapBytes: 256 * 2 ** 20,
};

simTest(
  `${count} nodes for ${hours} hours: whole, steady and of constant size in every calm`,
  1,
  async (s) => {
    s.network.options = { loss: 0.01, minDelayMs: 5, maxDelayMs: 80 };
    for (let i = 0; i < count; i++) s.node(`10.0.0.${10 + i}`, { ...s.site(kindOf(i)), long: true });
    const samples = new Map<string, Sample[]>();
    for (let hour = 1; hour <= hours; hour++) {
      churn(s);
      const seen = await calm(s);
      for (const [what, value] of Object.entries(seen)) {
        const bound = bounds[what as keyof Hour];
        assert.ok(value <= bound, `hour ${hour}: ${what} ${value}, at most ${bound}`);
        samples.set(what, [...(samples.get(what) ?? []), { at: hour, value }]);
      }
    }
    // What remembers others rises to its bound and stays there; the rest must not rise at all.
    for (const what of ["ticks", "effects", "associations", "tasks", "heapBytes"]) {
      const series = samples.get(what) ?? [];
      const counted = settled(series);
      const rise = growth(counted);
      const level = Math.max(1, ...counted.map((sample) => sample.value));
      assert.ok(rise <= 0.2 * level, `${what} grows by ${rise} over the day: ${JSON.stringify(series)}`);
    }
    // The heap is not only without a trend: from the second hour on it stays within a fifth.
    const heap = (samples.get("heapBytes") ?? []).slice(1).map((sample) => sample.value);
    const [smallest, largest] = [Math.min(...heap), Math.max(...heap)];
    assert.ok(
      largest <= 1.2 * smallest,
      `the heap is between ${smallest} and ${largest} bytes: ${heap.join(" ")}`,
    );
    for (const node of s.nodes) assert.equal(node.conflict, undefined);
  },
);
