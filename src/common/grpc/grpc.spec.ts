import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import { VpnError } from "../errors.js";
import { DaemonService } from "../gen/vpnd/v1/daemon_pb.js";
import { KeyService } from "../gen/vpnd/v1/key_pb.js";
import { PeerService } from "../gen/vpnd/v1/peer_pb.js";
import { Connection } from "./client.js";
import { type CallContext, handlers, type ServiceImpl } from "./server.js";
import { serviceDefinition } from "./service-definition.js";
import { fromServiceError, toStatus } from "./status.js";

const folder = mkdtempSync(join(tmpdir(), "vpnd-grpc-"));
const target = `unix:${join(folder, "s")}`;
const server = new Server();
const connection = new Connection(target);
const unexpected: unknown[] = [];
let aborted: (() => void) | undefined;
let made = 0;

const unused = async (): Promise<never> => {
  throw new VpnError("failed", "not part of this test");
};

function untilAborted({ signal }: CallContext): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => {
      aborted?.();
      resolve();
    });
  });
}

const peers: ServiceImpl<(typeof PeerService)["method"]> = {
  listPeers: async (request, context) => {
    if (request.network === "slow") await untilAborted(context);
    return { networks: [{ network: request.network, notes: [String(context.deadline instanceof Date)] }] };
  },
  async *watchPeers(request, context) {
    yield { networks: [] };
    if (request.network === "fails") throw new VpnError("not-found", "no such network");
    if (request.network === "large") {
      try {
        for (; ; made++) yield { networks: [{ notes: ["x".repeat(100_000)] }] };
      } finally {
        aborted?.();
      }
    } else await untilAborted(context);
  },
  getPeer: async (request) => {
    throw new VpnError("ambiguous", `several peers are called ${request.peer}`, {
      hint: "name one: a.home, a.office",
      fields: { candidates: "a.home, a.office", count: 2 },
      cause: new Error("not for the wire"),
    });
  },
  removePeer: async () => {
    throw new TypeError("a secret of the daemon");
  },
  async *ping(request) {
    for (let sequence = 1; sequence <= request.count; sequence++) yield { sequence, virtualIp: request.peer };
  },
};

before(async () => {
  const onUnexpected = (_method: string, error: unknown): void => void unexpected.push(error);
  server.addService(serviceDefinition(PeerService), handlers(PeerService, peers, { onUnexpected }));
  server.addService(
    serviceDefinition(KeyService),
    handlers(KeyService, { getPskStatus: unused, setPsk: unused }),
  );
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(target, ServerCredentials.createInsecure(), (e) => (e ? reject(e) : resolve())),
  );
});

after(() => {
  connection.close();
  server.forceShutdown();
  rmSync(folder, { recursive: true });
});

const client = connection.service(PeerService);

test("a unary call carries request, answer and deadline", async () => {
  const answer = await client.listPeers({ network: "home" }, { timeoutMs: 10_000 });
  assert.equal(answer.networks[0]?.network, "home");
  assert.deepEqual(answer.networks[0]?.notes, ["true"]);
  const without = await client.listPeers({});
  assert.deepEqual(without.networks[0]?.notes, ["false"]);
});

test("a stream ends by itself", async () => {
  const seen: number[] = [];
  for await (const pong of client.ping({ peer: "10.0.0.2", count: 3 })) seen.push(pong.sequence);
  assert.deepEqual(seen, [1, 2, 3]);
});

test("an error arrives with code, hint and fields, and without its cause", async () => {
  await assert.rejects(client.getPeer({ peer: "a" }), (error) => {
    assert(error instanceof VpnError);
    assert.equal(error.code, "ambiguous");
    assert.equal(error.message, "several peers are called a");
    assert.equal(error.hint, "name one: a.home, a.office");
    assert.deepEqual(error.fields, { candidates: "a.home, a.office", count: "2" });
    return true;
  });
});

test("a fault of the server is told to its log and not to the caller", async () => {
  await assert.rejects(client.removePeer({ peer: "a" }), (error) => {
    assert(error instanceof VpnError);
    assert.equal(error.code, "internal");
    assert(!error.message.includes("secret"));
    return true;
  });
  assert(unexpected[0] instanceof TypeError);
});

test("a stream may fail after its first message", async () => {
  let count = 0;
  await assert.rejects(
    async () => {
      for await (const _ of client.watchPeers({ network: "fails" })) count++;
    },
    (error) => error instanceof VpnError && error.code === "not-found",
  );
  assert.equal(count, 1);
});

test("an aborted signal cancels a stream on both sides", async () => {
  const stopped = new Promise<void>((resolve) => {
    aborted = resolve;
  });
  const stop = new AbortController();
  await assert.rejects(
    async () => {
      for await (const _ of client.watchPeers({}, { signal: stop.signal })) stop.abort();
    },
    (error) => error instanceof VpnError && error.code === "cancelled",
  );
  await stopped;
});

test("a reader that leaves a stream cancels it", async () => {
  const stopped = new Promise<void>((resolve) => {
    aborted = resolve;
  });
  for await (const _ of client.watchPeers({})) break;
  await stopped;
});

test("a reader that is slow holds the generator back", async () => {
  const stopped = new Promise<void>((resolve) => {
    aborted = resolve;
  });
  const stream = client.watchPeers({ network: "large" })[Symbol.asyncIterator]();
  await stream.next();
  await stream.next();
  const other = new Connection(target);
  await other.service(PeerService).listPeers({}); // the server has had its turn
  other.close();
  assert(made < 1000, `${made} messages were made for a reader of two`);
  await stream.return?.();
  await stopped;
});

test("a deadline that passes is no-reply, and the server learns of it", async () => {
  const stopped = new Promise<void>((resolve) => {
    aborted = resolve;
  });
  await assert.rejects(
    client.listPeers({ network: "slow" }, { timeoutMs: 50 }),
    (error) => error instanceof VpnError && error.code === "no-reply",
  );
  await stopped;
});

test("a service that the server lacks and a server that is not there are told apart", async () => {
  await assert.rejects(
    connection.service(DaemonService).getVersion({}),
    (error) => error instanceof VpnError && error.code === "failed" && /another version/.test(error.message),
  );
  const nowhere = new Connection(`unix:${join(folder, "missing")}`);
  await assert.rejects(
    nowhere.service(DaemonService).getVersion({}),
    (error) => error instanceof VpnError && error.code === "daemon-down" && !/ENOENT/.test(error.message),
  );
  nowhere.close();
});

test("a hostile trailer is passed over", () => {
  const { metadata } = toStatus(new VpnError("failed", "x"));
  metadata.set("grpc-status-details-bin", Buffer.from([0xff, 0xff, 0xff]));
  const error = Object.assign(new Error("m"), { code: status.NOT_FOUND, details: "gone", metadata });
  assert.equal(fromServiceError(error).code, "internal");
});
