import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { beginning } from "../lab/http2-garbage.js";
import { Bench, until } from "./support/daemon.js";
import { vpnctlAs } from "./support/people.js";

const skip = process.getuid?.() === 0 ? false : "needs root for network namespaces";
let bench: Bench;

before(() => {
  if (!skip) bench = new Bench();
});
after(async () => {
  if (!skip) await bench.close();
});

/** A connection that waits like a program that watches; resolves when the server has said something. */
function hold(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(bench.socket);
    socket.once("error", reject);
    socket.once("data", () => {
      socket.resume();
      resolve(socket);
    });
    // A watch of events: HTTP/2 as a program would send it.
    socket.write(Buffer.concat([beginning(), watchEvents()]));
  });
}

function watchEvents(): Buffer {
  const fields: [string, string][] = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/vpnd.v1.EventService/WatchEvents"],
    [":authority", "localhost"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
  ];
  const literal = ([name, value]: [string, string]) =>
    Buffer.concat([
      Buffer.from([0, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]);
  const block = Buffer.concat(fields.map(literal));
  const headers = Buffer.from([0, 0, block.length, 1, 4, 0, 0, 0, 1]);
  const data = Buffer.from([0, 0, 5, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
  return Buffer.concat([headers, block, data]);
}

test("when all connections are taken vpnctl says so, and is served again afterwards", { skip }, async () => {
  await bench.readyVpnd();
  const held = await Promise.all(Array.from({ length: 128 }, hold));
  try {
    const turned = await vpnctlAs("root", bench, ["status"]);
    assert.equal(turned.code, 1, turned.err);
    assert.match(turned.err, /^vpnctl: vpnd has no connection free: .*\n.*pgrep -a vpnctl/);
    held.pop()?.destroy();
    await until(
      async () => (await vpnctlAs("root", bench, ["version"])).out.includes("vpnd"),
      "a place to be free",
    );
    const metrics = await vpnctlAs("root", bench, ["metrics"]);
    assert.match(metrics.out, /^vpnd_api_connections_rejected_total\{reason="limit"\} [1-9]/m);
  } finally {
    for (const socket of held) socket.destroy();
  }
  await until(async () => (await vpnctlAs("root", bench, ["metrics"])).code === 0, "vpnctl to be served");
});
