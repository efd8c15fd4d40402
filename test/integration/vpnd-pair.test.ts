import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { NetworkService } from "../../src/common/gen/vpnd/v1/network_pb.js";
import { PeerService } from "../../src/common/gen/vpnd/v1/peer_pb.js";
import { StatsService } from "../../src/common/gen/vpnd/v1/stats_pb.js";
import type { Connection } from "../../src/common/grpc/client.js";
import { type Bench, skip, until } from "./support/daemon.js";
import { pairs } from "./support/pair.js";

const pair = pairs();
let connections: Connection[] = [];

afterEach(() => {
  for (const connection of connections) connection.close();
  connections = [];
});

const dial = (bench: Bench): Connection => {
  const connection = bench.connect();
  connections.push(connection);
  return connection;
};
const join = (connection: Connection, virtualIp: string, name: string, psk = "5a") =>
  connection.service(NetworkService).join({
    name,
    timeoutSeconds: 10,
    carrier: {
      case: "mesh",
      value: { iex: ["192.0.2.1:9944"], virtualIp, psk: Buffer.from(psk.repeat(32)) },
    },
  });
const states = async (connection: Connection): Promise<string[]> => {
  const { networks } = await connection.service(PeerService).listPeers({});
  return (networks[0]?.peers ?? []).map((peer) =>
    `${peer.name} ${peer.state} ${peer.reason?.code ?? ""}`.trim(),
  );
};
/** Three pings by the kernel, through the tunnel. @throws Error when less than three answers come; with -w late ones count */
const ping = (bench: Bench, address: string): string =>
  bench.inside("ping", "-c", "3", "-i", "0.2", "-w", "20", address);

test("two vpnd find each other, carry packets, and count them", { skip }, async () => {
  const { alpha, beta } = pair();
  await Promise.all([alpha.readyVpnd(), beta.readyVpnd()]);
  await pair().server();
  const [a, b] = [dial(alpha), dial(beta)];
  await join(a, "10.7.0.1/16", "alpha");
  await join(b, "10.7.0.2/16", "beta");
  await until(async () => (await states(a)).includes("beta up"), "beta at alpha");
  await until(async () => (await states(b)).includes("alpha up"), "alpha at beta");
  ping(alpha, "10.7.0.2");
  ping(beta, "10.7.0.1");

  const { networks } = await a.service(StatsService).getStats({});
  assert.ok((networks[0]?.peers[0]?.rxBytes ?? 0n) >= 6n * 84n);
  const found = await a.service(PeerService).getPeer({ peer: "beta.default" });
  assert.equal(found.peer?.virtualIp, "10.7.0.2");
  assert.equal(found.peer?.path, "direct");
  assert.ok(found.pinnedSince);
  let answers = 0;
  for await (const probe of b.service(PeerService).ping({ peer: "alpha", count: 2, intervalSeconds: 0.2 })) {
    assert.ok((probe.rttSeconds ?? 0) > 0);
    answers++;
  }
  assert.equal(answers, 2);
  await b.service(NetworkService).leave({});
  await until(async () => (await states(a))[0]?.startsWith("beta offline") ?? false, "beta offline at alpha");
  assert.equal((await a.service(PeerService).removePeer({ peer: "10.7.0.2" })).hadPin, true);
});

test("a killed vpnd that is started again is back in the mesh by itself", { skip }, async () => {
  const { alpha, beta } = pair();
  const [first] = await Promise.all([alpha.readyVpnd(), beta.readyVpnd()]);
  await pair().server();
  const b = dial(beta);
  const before = dial(alpha);
  await join(before, "10.7.0.1/16", "alpha");
  await join(b, "10.7.0.2/16", "beta");
  await until(async () => (await states(b)).includes("alpha up"), "alpha at beta");
  before.close();
  await first.stop("SIGKILL");
  await alpha.readyVpnd();
  const a = dial(alpha);
  await until(async () => (await states(a)).includes("beta up"), "beta at the new alpha", 60_000);
  ping(beta, "10.7.0.1");
});

test("a wrong PSK yields no tunnel, and both ends say so", { skip }, async () => {
  const { alpha, beta } = pair();
  await Promise.all([alpha.readyVpnd(), beta.readyVpnd()]);
  await pair().server();
  const [a, b] = [dial(alpha), dial(beta)];
  await join(a, "10.7.0.1/16", "alpha");
  await join(b, "10.7.0.2/16", "beta", "5b");
  for (const end of [a, b]) {
    await until(
      async () => (await states(end)).some((state) => state.includes("wrong-psk")),
      "wrong-psk",
      60_000,
    );
  }
});
