import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { ControlCalls, StationHandle } from "./station-calls.js";
import { Stations } from "./stations.js";

class FakeStation implements StationHandle {
  readonly opened: number[] = [];
  ended = 0;
  failures = 0;
  readonly #onOpen: () => void;

  constructor(
    readonly lose: (error: Error) => void,
    onOpen: () => void,
  ) {
    this.#onOpen = onOpen;
  }
  async prepare(): Promise<void> {
    if (this.failures-- > 0) throw new Error("cannot");
  }
  async open(fd: number): Promise<void> {
    this.opened.push(fd);
    this.#onOpen();
  }
  async release(): Promise<object> {
    return {};
  }
  async limit(): Promise<void> {}
  async measure(): Promise<[]> {
    return [];
  }
  async strays(): Promise<Record<string, number>> {
    return { "no-client": this.opened.length };
  }
  async renew(): Promise<void> {}
  async close(): Promise<void> {}
  async end(): Promise<void> {
    this.ended += 1;
  }
  responds(): boolean {
    return true;
  }
}

interface World {
  stations: Stations;
  fakes: FakeStation[];
  sockets: { fd: number; shared: boolean }[];
  closed: number[];
  lost: number[];
  opened: () => Promise<void>;
}

function world(): World {
  const fakes: FakeStation[] = [];
  const [sockets, closed, lost]: [World["sockets"], number[], number[]] = [[], [], []];
  let told: () => void = () => {};
  const calls: ControlCalls = { admit: async () => ({ refuse: 404 }), ended: () => {}, refused: () => {} };
  const stations = new Stations({
    workers: 2,
    setup: { destinations: { closed: [], open: [] }, mtu: 1500, padding: false, anySource: false },
    platform: {
      createPortHub: () => assert.fail("stations in threads have their own"),
      closeFd: (fd) => closed.push(fd),
    },
    calls: () => calls,
    listen(shared) {
      sockets.push({ fd: sockets.length, shared });
      return sockets.length - 1;
    },
    tls: () => undefined,
    onLost: (station) => lost.push(station),
    log: pino({ enabled: false }),
    makeThread(_, onLost) {
      const fake = new FakeStation(onLost, () => told());
      fakes.push(fake);
      return fake;
    },
  });
  const opened = () =>
    new Promise<void>((resolve) => {
      told = resolve;
    });
  return { stations, fakes, sockets, closed, lost, opened };
}

test("several share the port, but first it is seen whether somebody else has it", async () => {
  const { stations, fakes, sockets, closed } = world();
  await stations.open();
  assert.deepEqual(
    sockets.map(({ shared }) => shared),
    [false, true, true],
  );
  assert.deepEqual(closed, [0]);
  assert.deepEqual(fakes.flatMap(({ opened }) => opened).sort(), [1, 2]);
  assert.deepEqual(await stations.strays(), { "no-client": 2 });
});

test("one that broke down is opened again, more than once if need be, with a socket of its own", {
  timeout: 20_000,
}, async () => {
  const { stations, fakes, lost, opened } = world();
  await stations.open();
  const [first] = fakes;
  if (first === undefined) assert.fail();
  first.failures = 1;
  const again = opened();
  first.lose(new Error("broken"));
  assert.deepEqual(lost, [0]);
  await again;
  assert.deepEqual([first.opened.length, first.opened[1], first.ended], [2, 3, 1]);
  await stations.close({ code: 1000, text: "" });
  first.lose(new Error("again"));
  assert.deepEqual(lost, [0], "nobody minds any more");
});
