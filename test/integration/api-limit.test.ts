import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { beginning, frame } from "../lab/http2-garbage.js";
import { Bench, skip, until } from "./support/daemon.js";
import { vpnctlAs } from "./support/people.js";

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

/** Sends a SETTINGS frame that is cut short, is told GOAWAY, and hangs up. */
function offend(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(bench.socket);
    let heard: Buffer = Buffer.alloc(0);
    socket.once("error", reject);
    socket.on("data", (data) => {
      heard = Buffer.concat([heard, data]);
      for (let at = 0; at + 9 <= heard.length; at += 9 + heard.readUIntBE(at, 3)) {
        if (heard[at + 3] === goaway) socket.destroy();
      }
    });
    socket.once("close", () => resolve());
    socket.write(Buffer.concat([beginning(), frame(settings, 0, 0, Buffer.alloc(5))]));
  });
}

const settings = 4;
const goaway = 7;

async function rejected(reason: string): Promise<number> {
  const { out } = await vpnctlAs("root", bench, ["metrics"]);
  const line = new RegExp(`^vpnd_api_connections_rejected_total\\{reason="${reason}"\\} (\\d+)$`, "m");
  return Number(line.exec(out)?.[1]);
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
    assert.ok((await rejected("limit")) >= 1);
  } finally {
    for (const socket of held) socket.destroy();
  }
  await until(async () => (await vpnctlAs("root", bench, ["metrics"])).code === 0, "vpnctl to be served");
});

test("who broke the rules and left holds no place, and is counted", { skip }, async () => {
  const [limit, before] = [await rejected("limit"), await rejected("protocol")];
  // More than there are places, sooner than any of them is idle for long.
  await Promise.all(Array.from({ length: 100 }, offend));
  await Promise.all(Array.from({ length: 100 }, offend));
  const served = await vpnctlAs("root", bench, ["version"]);
  assert.equal(served.code, 0, served.err);
  assert.equal(await rejected("limit"), limit);
  for (let i = 0; i < 5; i++) await offend();
  await until(async () => (await rejected("protocol")) >= before + 5, "those who left to be counted");
});
