import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { VpnError } from "../../../common/errors.js";
import { NetworkService } from "../../../common/gen/vpnd/v1/network_pb.js";
import { PeerService } from "../../../common/gen/vpnd/v1/peer_pb.js";
import type { CallContext, ServiceImpl } from "../../../common/grpc/server.js";
import type { Access } from "../../core/access/access.js";
import { type Guard, guarded } from "./guard.js";

const context: CallContext = {
  signal: new AbortController().signal,
  deadline: undefined,
  peer: "connection-1",
};
const caller = { pid: 7, uid: 1000, gid: 1001, groups: [50] };

function scene(access: Access) {
  const lines: Record<string, unknown>[] = [];
  let refused = 0;
  const guard: Guard = {
    access,
    groupName: "vpnd",
    caller: (peer) => (peer === context.peer ? caller : undefined),
    log: pino({ level: "info", base: {} }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    onRefused: () => {
      refused += 1;
    },
  };
  return { guard, lines, refused: () => refused };
}

const unused = async (): Promise<never> => {
  throw new Error("unused");
};
const network = { name: "home", pskFingerprint: "abcd2345" };
const networks: ServiceImpl<(typeof NetworkService)["method"]> = {
  join: async () => ({ network }),
  leave: async () => {
    throw new VpnError("conflict", "no");
  },
  up: unused,
  down: async () => ({ networks: ["home", "lab"] }),
  listNetworks: async () => ({ networks: [network] }),
  getNetwork: unused,
};
const peers: Pick<ServiceImpl<(typeof PeerService)["method"]>, "watchPeers"> = {
  async *watchPeers() {
    yield { networks: [{ network: "home", self: { pskFingerprint: "abcd2345", name: "a" } }] };
  },
};

const all = <T>(found: object, ...requests: unknown[]): T =>
  // Requests of a generated service need no more than the fields that matter here.
  (found as { call: (...args: unknown[]) => T }).call(undefined, ...requests);

test("a change is audited with who, what and where, and never with what it holds", async () => {
  const { guard, lines } = scene("write");
  const table = guarded(NetworkService, networks, guard);
  await all(table.join, { network: "", psk: "hunter2" }, context);
  await assert.rejects(all<Promise<unknown>>(table.leave, { network: "home" }, context));
  await all(table.down, { network: "", all: true }, context);
  await all(table.down, { network: "", all: true, dryRun: true }, context);
  await all(table.listNetworks, {}, context);
  assert.deepEqual(
    lines.map(({ uid, pid, gid, command, network: about, outcome }) => [
      uid,
      pid,
      gid,
      command,
      about,
      outcome,
    ]),
    [
      [1000, 7, 1001, "join", "home", "ok"],
      [1000, 7, 1001, "leave", "home", "conflict"],
      [1000, 7, 1001, "down", "home,lab", "ok"],
    ],
  );
  assert.ok(lines.every(({ audit }) => audit === true));
  assert.ok(!JSON.stringify(lines).includes("hunter2"));
});

test("who may look sees no fingerprints, in streams neither, and changes nothing", async () => {
  const { guard, lines, refused } = scene("read");
  const table = guarded(NetworkService, networks, guard);
  assert.deepEqual(await all(table.listNetworks, {}, context), { networks: [{ name: "home" }] });
  const watching = guarded(PeerService, peers as ServiceImpl<(typeof PeerService)["method"]>, guard);
  const seen: unknown[] = [];
  for await (const one of all<AsyncIterable<unknown>>(watching.watchPeers, {}, context)) seen.push(one);
  assert.deepEqual(seen, [{ networks: [{ network: "home", self: { name: "a" } }] }]);
  await assert.rejects(all<Promise<unknown>>(table.join, {}, context), (error: unknown) => {
    assert.ok(error instanceof VpnError);
    assert.equal(error.code, "not-permitted");
    assert.match(error.message, /^you may look, but not join/);
    assert.match(error.hint ?? "", /sudo usermod -aG vpnd/);
    return true;
  });
  assert.equal(refused(), 1);
  assert.deepEqual(lines, []);
});

test("who may do nothing is refused streams too", async () => {
  const { guard } = scene("none");
  const watching = guarded(PeerService, peers as ServiceImpl<(typeof PeerService)["method"]>, guard);
  const stream = all<AsyncIterable<unknown>>(watching.watchPeers, {}, context);
  await assert.rejects(stream[Symbol.asyncIterator]().next(), /you may not use vpnd/);
});
