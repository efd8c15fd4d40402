import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { pino } from "pino";
import type { NetworkSecrets } from "../io/state/store.js";
import { PskKeeper } from "./psk-keeper.js";

const key = (fill: number) => new Uint8Array(32).fill(fill);
const config = {
  name: "default",
  carrier: "mesh",
  asked: {
    network: "default",
    iex: [],
    virtualIp: "10.0.0.1/24",
    badger: false,
    listenPort: 0,
    device: "",
    mtu: 0,
    nodeName: "",
  },
  device: "vpn-default",
  mtu: 1400,
  nodeName: "a",
  port: 0,
  up: true,
  joined: 5,
} as const;

/** A keeper with clocks in the test's hands; `jump` moves only the wall clock. */
function scene(secrets: NetworkSecrets = { psk: key(1), nodeSeed: key(9) }) {
  let now = 100;
  let wall = 1_000_000;
  const written: NetworkSecrets[] = [];
  const seen: number[][] = [];
  const logged: string[] = [];
  let failing = false;
  const keeper = new PskKeeper(
    { config, secrets },
    {
      save: async (next) => {
        if (failing) throw new Error("ENOSPC");
        written.push(next);
      },
      onChange: (psks) => seen.push(psks.map(({ psk }) => psk[0] ?? 0)),
      clock: () => ({ now, wall }),
      log: pino({ level: "trace" }, { write: (line: string) => logged.push(line) }),
    },
  );
  return {
    keeper,
    written,
    seen,
    logged,
    pass: (ms: number) => {
      now += ms;
      wall += ms;
      mock.timers.tick(ms);
    },
    jump: (ms: number) => {
      wall += ms;
    },
    fail: (yes: boolean) => {
      failing = yes;
    },
  };
}

test("a PSK is on disk before it is used, and the former one goes when its time is over", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { keeper, written, seen, pass, logged } = scene();
  await keeper.set(key(2), 60_000);
  assert.equal(written.length, 1);
  assert.equal(written[0]?.formerPsks?.[0]?.psk[0], 1);
  assert.deepEqual(seen, [[2, 1]]);
  pass(59_000);
  pass(500);
  assert.deepEqual(seen.length, 1);
  pass(500);
  assert.deepEqual(seen, [[2, 1], [2]]);
  assert.equal(written.at(-1)?.formerPsks, undefined);
  assert.equal(keeper.epochs().length, 1);
  const bytes = Buffer.from(key(2)).toString("base64");
  assert.ok(!logged.join("").includes(bytes));
  keeper.stop();
});

test("what cannot be written is not used", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { keeper, seen, fail } = scene();
  fail(true);
  await assert.rejects(keeper.set(key(2), 60_000), { code: "failed", hint: /nothing has changed/ });
  assert.deepEqual(seen, []);
  assert.equal(keeper.secrets.psk[0], 1);
  keeper.stop();
});

test("the end of a grace period holds even when the disk is full", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { keeper, seen, fail, pass } = scene();
  await keeper.set(key(2), 10_000);
  fail(true);
  pass(10_000);
  assert.deepEqual(seen.at(-1), [2]);
  keeper.stop();
});

test("when the clock is put right the file follows, and the time that is left stays the same", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { keeper, written, seen, pass, jump } = scene();
  await keeper.set(key(2), 120_000);
  const before = written.at(-1)?.formerPsks?.[0]?.until ?? 0;
  jump(10_000_000);
  pass(30_000);
  assert.equal(seen.length, 1);
  assert.equal(written.at(-1)?.formerPsks?.[0]?.until, before + 10_000_000);
  await new Promise((resolve) => setImmediate(resolve));
  pass(30_000);
  assert.equal(written.length, 2, "once is enough");
  keeper.stop();
});

test("a grace period that ended while vpnd was off ends at once", (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const former = [{ psk: key(1), since: 1, until: 500, graceMs: 100 }];
  const { keeper, seen, pass } = scene({ psk: key(2), nodeSeed: key(9), pskSince: 2, formerPsks: former });
  pass(1);
  assert.deepEqual(seen, [[2]]);
  assert.equal(keeper.epochs()[0]?.since, 2);
  keeper.stop();
});
