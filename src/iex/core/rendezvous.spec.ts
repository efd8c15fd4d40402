import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeMap, type NetworkMap } from "../../common/badger/map.js";
import { formatEndpoint } from "../../common/endpoint.js";
import { addressFilter } from "./address-filter.js";
import { badgerCodec } from "./codec.js";
import type { Source } from "./registry.js";
import {
  type DatagramResult,
  type Effect,
  type MapEffect,
  paperTiming,
  Rendezvous,
  type RendezvousOptions,
} from "./rendezvous.js";

/** The server under a clock of the test's own: runs what is due in between, and keeps all that came out. */
class Bench {
  now = 0;
  readonly effects: { at: number; effect: Effect }[] = [];
  readonly server: Rendezvous;

  constructor(options: Partial<RendezvousOptions> = {}) {
    this.server = new Rendezvous(badgerCodec, {
      ...paperTiming,
      maxNodes: 600,
      allowed: addressFilter([]),
      ...options,
    });
  }

  /** Wakes the server when it asks to be woken, until `ms` from now. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (let at = this.server.nextAt; at !== undefined && at <= end; at = this.server.nextAt) {
      assert.ok(at > this.now || this.server.tick(this.now).length > 0, "it asks for a time that has passed");
      this.now = Math.max(at, this.now);
      this.#keep(this.server.tick(this.now));
    }
    this.now = end;
  }

  say(from: Source, text: string): DatagramResult | undefined {
    const effects = this.server.datagram(from, Buffer.from(text), this.now);
    this.#keep(effects);
    return effects.find((effect) => effect.type === "datagram")?.result;
  }

  beat(from: Source, virtualIp: string, privateIp = "192.168.1.1:1000"): DatagramResult | undefined {
    return this.say(from, JSON.stringify({ VirtualIP: virtualIp, PrivateIP: privateIp }));
  }

  maps(since = 0): { at: number; map: MapEffect }[] {
    return this.effects.flatMap(({ at, effect }) =>
      effect.type === "map" && at >= since ? [{ at, map: effect }] : [],
    );
  }

  /** What the receiver reads of the newest map. */
  newestFor(endpoint: string): NetworkMap {
    const map = this.maps().at(-1)?.map;
    const receiver = map?.receivers.find(({ to }) => to.endpoint === endpoint);
    assert.ok(map && receiver, `no map for ${endpoint}`);
    const decoded = decodeMap(Buffer.concat([map.shared, receiver.tail]));
    assert.ok(decoded.ok);
    return decoded.value;
  }

  #keep(effects: readonly Effect[]): void {
    for (const effect of effects) this.effects.push({ at: this.now, effect });
  }
}

function source(address: string, port = 4400): Source {
  return { endpoint: formatEndpoint(address, port), address, port, via: 0 };
}

const a = source("192.0.2.1");
const b = source("192.0.2.2");
const c = source("2001:db8::3");

describe("iexd's map", () => {
  it("goes to everybody at once when a node joins, the newest first, each with its own index", () => {
    const bench = new Bench();
    bench.beat(a, "10.0.0.1");
    assert.equal(bench.maps().length, 1);
    bench.pass(1000);
    bench.beat(b, "10.0.0.2", "192.168.1.2:7");
    assert.deepEqual(bench.newestFor(a.endpoint), {
      nodes: [
        { virtualIp: "10.0.0.2", privateIp: { address: "192.168.1.2", port: 7 }, publicIp: "192.0.2.2:4400" },
        {
          virtualIp: "10.0.0.1",
          privateIp: { address: "192.168.1.1", port: 1000 },
          publicIp: "192.0.2.1:4400",
        },
      ],
      myIndex: 1,
    });
    assert.equal(bench.newestFor(b.endpoint).myIndex, 0);
  });

  it("goes out every 5 seconds, changes or not, and a heartbeat alone causes none", () => {
    const bench = new Bench();
    bench.beat(a, "10.0.0.1");
    for (let second = 0; second < 20; second++) {
      bench.beat(a, "10.0.0.1");
      bench.pass(1000);
    }
    assert.deepEqual(
      bench.maps().map(({ at }) => at),
      [0, 5000, 10_000, 15_000, 20_000],
    );
    assert.deepEqual(
      bench.maps().map(({ map }) => map.cause),
      ["change", "period", "period", "period", "period"],
    );
  });

  it("says IP:PORT for a private address without port, and nothing for none", () => {
    const bench = new Bench();
    bench.beat(a, "10.0.0.1", "192.168.1.1");
    assert.deepEqual(bench.newestFor(a.endpoint).nodes[0]?.privateIp, { address: "192.168.1.1", port: 4400 });
    bench.pass(1000);
    bench.say(c, '{"VirutalIP":"fd00::3"}');
    assert.deepEqual(bench.newestFor(c.endpoint).nodes[0], {
      virtualIp: "fd00::3",
      publicIp: "[2001:db8::3]:4400",
    });
  });

  it("takes another virtual IP or private address at a known endpoint for a change", () => {
    const bench = new Bench();
    bench.beat(a, "10.0.0.1");
    bench.beat(b, "10.0.0.2");
    bench.pass(1000);
    bench.beat(a, "10.0.0.9");
    assert.deepEqual(
      bench.newestFor(b.endpoint).nodes.map((node) => node.virtualIp),
      ["10.0.0.9", "10.0.0.2"],
    );
    bench.pass(1000);
    bench.beat(b, "10.0.0.2", "192.168.7.7:7");
    const map = bench.newestFor(b.endpoint);
    assert.deepEqual(
      map.nodes.map((node) => node.virtualIp),
      ["10.0.0.9", "10.0.0.2"],
    );
    assert.equal(map.nodes[1]?.privateIp?.address, "192.168.7.7");
  });

  it("puts a restarted node's new endpoint before its old one", () => {
    const bench = new Bench();
    bench.beat(a, "10.0.0.1");
    bench.pass(1000);
    bench.beat(source("192.0.2.1", 5500), "10.0.0.1");
    bench.pass(1000);
    bench.beat(a, "10.0.0.1");
    bench.pass(5000);
    assert.deepEqual(
      bench.newestFor(a.endpoint).nodes.map((node) => node.publicIp),
      ["192.0.2.1:5500", "192.0.2.1:4400"],
    );
  });

  it("is sent by the socket that heard the node last", () => {
    const bench = new Bench();
    bench.beat(a, "10.0.0.1");
    bench.beat({ ...a, via: 1 }, "10.0.0.1");
    bench.pass(5000);
    assert.equal(bench.maps().at(-1)?.map.receivers[0]?.to.via, 1);
  });

  it("is sent in bounded number and volume, however often it changes, and the last change is not lost", () => {
    const bench = new Bench();
    for (let node = 0; node < 200; node++) bench.beat(source("192.0.2.1", 1000 + node), `10.0.1.${node}`);
    bench.pass(10_000);
    const from = bench.now;
    let last = "";
    for (let change = 0; change < 5000; change++) {
      last = `10.1.${change >> 8}.${change & 255 || 1}`;
      bench.beat(source("192.0.2.1", 1000), last);
      bench.pass(1);
      if (change % 20 === 0)
        for (let node = 1; node < 200; node++) bench.beat(source("192.0.2.1", 1000 + node), `10.0.1.${node}`);
    }
    bench.pass(1000);
    const maps = bench.maps(from);
    const bytes = maps.reduce((sum, { map }) => sum + map.shared.length * map.receivers.length, 0);
    const seconds = (bench.now - from) / 1000;
    // Two maps above the rate: the one at the start and one of the beat.
    const allowance = 3 * (maps[0]?.map.shared.length ?? 0) * 200;
    assert.ok(
      bytes <= paperTiming.changeBytesPerSecond * seconds + allowance,
      `${bytes} bytes in ${seconds} s`,
    );
    assert.ok(maps.length > 5, "changes are still told");
    assert.equal(bench.newestFor(formatEndpoint("192.0.2.1", 1000)).nodes[0]?.virtualIp, last);
  });
});

describe("iexd's purge", () => {
  it("removes a silent node after 30 seconds and tells the others at once", () => {
    const bench = new Bench();
    bench.beat(a, "10.0.0.1");
    bench.pass(500);
    bench.beat(b, "10.0.0.2");
    for (let second = 0; second < 40; second++) {
      bench.pass(1000);
      bench.beat(b, "10.0.0.2");
    }
    const removed = bench.effects.find(({ effect }) => effect.type === "purged");
    assert.equal(removed?.at, 30_000);
    const told = bench
      .maps()
      .find(({ map }) => map.receivers.length === 1 && map.receivers[0]?.to.endpoint === b.endpoint);
    assert.equal(told?.at, 30_000);
    assert.deepEqual(
      bench.newestFor(b.endpoint).nodes.map((node) => node.virtualIp),
      ["10.0.0.2"],
    );
  });

  it("leaves nothing to do when the last node is gone, and starts again", () => {
    const bench = new Bench();
    bench.beat(a, "10.0.0.1");
    bench.pass(60_000);
    assert.equal(bench.server.size, 0);
    assert.equal(bench.server.nextAt, undefined);
    bench.beat(a, "10.0.0.1");
    assert.equal(bench.maps().at(-1)?.at, 60_000);
    bench.pass(5000);
    assert.equal(bench.maps().at(-1)?.at, 65_000);
  });
});

describe("iexd's bounds", () => {
  it("refuses more nodes than it may have, and keeps those that it has", () => {
    const bench = new Bench({ maxNodes: 2 });
    assert.equal(bench.beat(a, "10.0.0.1"), "accepted");
    assert.equal(bench.beat(b, "10.0.0.2"), "accepted");
    assert.equal(bench.beat(c, "10.0.0.3"), "full");
    assert.equal(bench.beat(a, "10.0.0.5"), "accepted");
    assert.equal(bench.server.size, 2);
  });

  it("holds 600 nodes with the longest IPv4 addresses in one datagram", () => {
    const bench = new Bench();
    for (let node = 0; node < 600; node++)
      assert.equal(
        bench.beat(
          source("203.100.100.100", 10_000 + node),
          `100.100.${100 + (node >> 8)}.${100 + (node % 100)}`,
          "192.168.100.100:65535",
        ),
        "accepted",
        String(node),
      );
    bench.pass(5000);
    const map = bench.newestFor("203.100.100.100:10000");
    assert.equal(map.nodes.length, 600);
    assert.equal(map.myIndex, 599);
    assert.equal(bench.beat(a, "10.0.0.1"), "full");
  });

  it("refuses the node that would not fit into the datagram, also as a change of a known one", () => {
    const bench = new Bench({ maxNodes: 1000 });
    const long = (node: number) => `2001:db8:1111:2222:3333:4444:5555:${(4096 + node).toString(16)}`;
    let node = 0;
    let result: DatagramResult | undefined = "accepted";
    while (result === "accepted") {
      result = bench.beat(source(long(node), 40_000), long(node), `[${long(node)}]:40000`);
      node++;
    }
    assert.equal(result, "map-full");
    assert.ok(node > 300 && node < 600, String(node));
    bench.beat(a, "10.0.0.1", "");
    bench.pass(5000);
    const map = bench.maps().at(-1)?.map;
    assert.ok(map);
    for (const { tail } of map.receivers) assert.ok(map.shared.length + tail.length <= 65_507);
    assert.equal(bench.beat(source(long(0), 40_000), "10.0.0.1"), "accepted");
  });

  it("counts and never answers what it does not take", () => {
    const bench = new Bench({ allowed: addressFilter([]) });
    assert.equal(bench.say(a, "nonsense"), "malformed");
    assert.equal(bench.say(a, ""), "malformed");
    assert.equal(bench.say(a, `{"x":"${"x".repeat(2000)}"}`), "oversize");
    assert.equal(bench.beat({ ...a, port: 0 }, "10.0.0.1"), "malformed");
    assert.equal(bench.server.size, 0);
    assert.deepEqual(bench.maps(), []);
    assert.equal(bench.server.nextAt, undefined);
  });

  it("hears only whom it may", () => {
    const bench = new Bench({ allowed: (address) => address === b.address });
    assert.equal(bench.beat(a, "10.0.0.1"), "forbidden");
    assert.equal(bench.beat({ ...c, address: "fe80::1%eth0" }, "10.0.0.1"), "forbidden");
    assert.equal(bench.beat(b, "10.0.0.2"), "accepted");
    assert.equal(bench.server.size, 1);
  });

  it("does not write a line for each datagram", () => {
    const bench = new Bench();
    const lines = () => bench.effects.filter(({ effect }) => effect.type === "log").length;
    for (let datagram = 0; datagram < 1000; datagram++) bench.say(a, "nonsense");
    assert.equal(lines(), 1);
    for (let change = 0; change < 1000; change++) bench.beat(a, `10.0.${change >> 8}.${change & 255 || 1}`);
    assert.ok(lines() <= 21, String(lines()));
    bench.pass(10_000);
    bench.say(a, "nonsense");
    const last = bench.effects.findLast(({ effect }) => effect.type === "log")?.effect;
    assert.ok(last?.type === "log");
    assert.equal(last.fields.suppressed, 999);
  });
});
