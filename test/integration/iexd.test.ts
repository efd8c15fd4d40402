import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { after, describe, it } from "node:test";
import { PaperNode, type PaperNodeOptions } from "../interop/paper-node.js";
import { IexdProcess } from "./support/iexd.js";

const deadlineMs = 60_000;
const running: { stop(): Promise<void> }[] = [];
after(() => Promise.all(running.map((one) => one.stop())));

async function iexd(...args: string[]): Promise<IexdProcess> {
  const process = await IexdProcess.start(...args);
  running.push(process);
  return process;
}

async function node(options: PaperNodeOptions): Promise<PaperNode> {
  const started = new PaperNode(options);
  running.push(started);
  await started.start();
  return started;
}

const incoming = (result: string) => `iexd_datagrams_total{direction="in",result="${result}"}`;

describe("iexd", () => {
  it("tells nodes of each other: at a change at once, and again and again without one", async () => {
    const server = await iexd();
    const a = await node({ server: server.server, virtualIp: "10.0.0.1", privateIp: "192.168.0.1:3000" });
    assert.deepEqual(await a.waitForMap(() => true, deadlineMs), {
      Nodes: [{ VirtualIP: "10.0.0.1", PrivateIP: "192.168.0.1:3000", PublicIP: `127.0.0.1:${a.port}` }],
      MyIndex: 0,
    });
    const b = await node({
      server: server.server,
      virtualIp: "10.0.0.2",
      misspelt: true,
      privateIp: "192.168.0.2",
    });
    const both = [
      { VirtualIP: "10.0.0.2", PrivateIP: `192.168.0.2:${b.port}`, PublicIP: `127.0.0.1:${b.port}` },
      { VirtualIP: "10.0.0.1", PrivateIP: "192.168.0.1:3000", PublicIP: `127.0.0.1:${a.port}` },
    ];
    const two = (map: { Nodes: unknown[] }) => map.Nodes.length === 2;
    assert.deepEqual(await a.waitForMap(two, deadlineMs), { Nodes: both, MyIndex: 1 });
    assert.deepEqual(await b.waitForMap(two, deadlineMs), { Nodes: both, MyIndex: 0 });

    const changes = await server.metric('iexd_maps_sent_total{cause="change"}');
    const since = b.maps.length;
    await b.waitForMap(() => b.maps.length >= since + 2, deadlineMs);
    assert.equal(await server.metric('iexd_maps_sent_total{cause="change"}'), changes);

    a.virtualIp = "10.0.0.7";
    a.heartbeat();
    const moved = await b.waitForMap((map) => map.Nodes[0]?.VirtualIP === "10.0.0.7", deadlineMs);
    assert.equal(moved.MyIndex, 1);
    assert.deepEqual([a.oddities, b.oddities], [[], []]);
  });

  it("removes a silent node after 30 s, lives on with a dead port, and never sooner", async () => {
    const server = await iexd();
    const stays = await node({ server: server.server, virtualIp: "10.0.0.1" });
    const goes = await node({ server: server.server, virtualIp: "10.0.0.2", heartbeatMs: 0 });
    const lastHeartbeat = performance.now();
    await stays.waitForMap((map) => map.Nodes.length === 2, deadlineMs);
    // From here on maps to it meet a closed port.
    await goes.stop();
    await stays.waitForMap((map) => map.Nodes.length === 1, 60_000, stays.maps.length);
    const silentMs = performance.now() - lastHeartbeat;
    assert.ok(silentMs > 29_900, `removed after ${silentMs} ms`);
    assert.equal(await server.metric("iexd_nodes"), 1);
    assert.equal(await server.metric("iexd_nodes_purged_total"), 1);
  });

  it("counts a flood of nonsense, answers none of it, and still serves", async () => {
    const server = await iexd("--badger");
    const noisy = await node({ server: server.server, virtualIp: "0.0.0.0", heartbeatMs: 0 });
    for (let round = 0; round < 50; round++) {
      for (const data of ["{", "[]", "", '{"VirtualIP":7}', "[".repeat(1000), Buffer.from([0x7b, 0xff])])
        noisy.send(data);
      noisy.send("{".padEnd(1025, " "));
      noisy.send(Buffer.alloc(60_000, "{"));
    }
    const a = await node({ server: server.server, virtualIp: "10.0.0.1", heartbeatMs: 200 });
    const map = await a.waitForMap(() => true, deadlineMs);
    assert.equal(map.Nodes.length, 1);
    await server.metricReaches(incoming("malformed"), 50, deadlineMs);
    await server.metricReaches(incoming("oversize"), 2, deadlineMs);
    assert.deepEqual([noisy.maps, noisy.oddities], [[], []]);
    const refused = server.lines.filter((line) => line.msg === "datagram refused");
    assert.ok(refused.length >= 2 && refused.length < 20, `${refused.length} lines`);
  });

  it("refuses nodes beyond --max-nodes", async () => {
    const server = await iexd("--max-nodes", "2");
    const a = await node({ server: server.server, virtualIp: "10.0.0.1" });
    await node({ server: server.server, virtualIp: "10.0.0.2" });
    await a.waitForMap((map) => map.Nodes.length === 2, deadlineMs);
    const third = await node({ server: server.server, virtualIp: "10.0.0.3" });
    await server.metricReaches(incoming("full"), 1, deadlineMs);
    await a.waitForMap(() => true, deadlineMs, a.maps.length);
    assert.ok(a.maps.every((map) => map.Nodes.every(({ VirtualIP }) => VirtualIP !== "10.0.0.3")));
    assert.deepEqual(third.maps, []);
  });

  it("sends a large map whole to everybody", async () => {
    const server = await iexd();
    const nodes: PaperNode[] = [];
    for (let count = 1; count <= 150; count++) {
      nodes.push(
        await node({
          server: server.server,
          virtualIp: `10.0.1.${count}`,
          privateIp: "192.168.100.100:50000",
        }),
      );
    }
    const all = await Promise.all(
      nodes.map((one) => one.waitForMap((map) => map.Nodes.length === 150, deadlineMs)),
    );
    for (const [index, map] of all.entries()) {
      assert.equal(map.Nodes[map.MyIndex]?.VirtualIP, `10.0.1.${index + 1}`);
    }
  });

  it("serves IPv6 and IPv4 nodes on one map, each from where it asked", async () => {
    const server = await iexd("--listen", "[::1]:0,127.0.0.1:0");
    const [v6 = "", v4 = ""] = server.listen;
    const a = await node({ server: v6, virtualIp: "fd00::1", privateIp: "[2001:db8::1]:9" });
    const b = await node({ server: v4, virtualIp: "10.0.0.2" });
    const two = (map: { Nodes: unknown[] }) => map.Nodes.length === 2;
    assert.deepEqual(
      (await a.waitForMap(two, deadlineMs)).Nodes,
      (await b.waitForMap(two, deadlineMs)).Nodes,
    );
    assert.deepEqual(a.maps.at(-1)?.Nodes[1], {
      VirtualIP: "fd00::1",
      PrivateIP: "[2001:db8::1]:9",
      PublicIP: `[::1]:${a.port}`,
    });
  });

  it("hears only whom --badger-allow names", async () => {
    const server = await iexd("--badger-allow", "127.0.0.2/32,2001:db8::/32");
    const a = await node({ server: server.server, virtualIp: "10.0.0.1", bind: "127.0.0.1" });
    const b = await node({ server: server.server, virtualIp: "10.0.0.2", bind: "127.0.0.2" });
    await server.metricReaches(incoming("forbidden"), 1, deadlineMs);
    assert.equal((await b.waitForMap(() => true, deadlineMs)).Nodes.length, 1);
    assert.deepEqual(a.maps, []);
  });

  it("forgets on restart and learns again within a heartbeat", async () => {
    const first = await iexd();
    const a = await node({ server: first.server, virtualIp: "10.0.0.1", heartbeatMs: 200 });
    await a.waitForMap(() => true, deadlineMs);
    first.kill("SIGKILL");
    await first.ended();
    const before = a.maps.length;
    await iexd("--listen", first.server);
    await a.waitForMap(() => true, deadlineMs, before);
  });
});

describe("iexd's metrics", () => {
  it("are all there from the start, and nothing else is served", async () => {
    const server = await iexd("--max-nodes", "7");
    const text = await (await fetch(`http://${server.metrics}/metrics`)).text();
    for (const line of [
      "iexd_nodes 0",
      "iexd_nodes_max 7",
      "iexd_nodes_purged_total 0",
      `${incoming("accepted")} 0`,
      `${incoming("map-full")} 0`,
      'iexd_datagrams_total{direction="out",result="sent"} 0',
      'iexd_maps_sent_total{cause="period"} 0',
    ])
      assert.ok(text.includes(`\n${line}\n`), line);
    assert.match(text, /^iexd_build_info\{version="[^"]+",node="v[^"]+"\} 1$/m);
    assert.equal((await fetch(`http://${server.metrics}/`)).status, 404);
    assert.equal((await fetch(`http://${server.metrics}/metrics`, { method: "POST" })).status, 405);
  });
});

describe("iexd's end", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`is clean on ${signal}, with nodes and a metrics reader connected`, async () => {
      const server = await iexd();
      const a = await node({ server: server.server, virtualIp: "10.0.0.1" });
      await a.waitForMap(() => true, deadlineMs);
      const [host = "", port = ""] = server.metrics.split(":");
      const reader = connect(Number(port), host);
      reader.on("error", () => {});
      await once(reader, "connect");
      server.kill(signal);
      const { code, stderr } = await server.ended();
      reader.destroy();
      assert.deepEqual([code, stderr], [0, ""]);
      assert.equal(server.lines.at(-1)?.msg, "stopped");
    });
  }
});

describe("iexd's start", () => {
  it("says who is in the way, and exits with 1", async () => {
    const taken = createSocket("udp4");
    taken.bind(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address();
    const { code, stdout, stderr } = await IexdProcess.run("--listen", `127.0.0.1:0,127.0.0.1:${port}`);
    taken.close();
    assert.deepEqual([code, stdout], [1, ""]);
    const [what = "", hint = "", ...rest] = stderr.split("\n");
    assert.match(
      what,
      new RegExp(`^iexd: cannot listen on UDP 127\\.0\\.0\\.1:${port}: another program has the port$`),
    );
    assert.match(hint, new RegExp(`ss -lunp 'sport = ${port}'.*--listen`));
    assert.deepEqual(rest, [""]);
  });

  it("refuses to start with flags that make no sense, and exits with 2", async () => {
    for (const args of [["--relay", "off"], ["--listen", "localhost:1"], ["extra"]]) {
      const { code, stderr } = await IexdProcess.run(...args);
      assert.equal(code, 2, args.join(" "));
      assert.match(stderr, /^iexd: .+\n.+\n$/);
    }
  });
});
