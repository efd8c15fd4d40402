import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { makeSocket } from "../native.js";
import { GatewayServer, listenOn } from "./server.js";

/** One that is free now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const upgrade = [
  "GET / HTTP/1.1",
  "Host: gateway",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
  "\r\n",
].join("\r\n");

test("who is told off and does not say goodbye is cut off soon", async () => {
  const port = await freePort();
  const server = await GatewayServer.open({
    fd: listenOn(makeSocket, { family: 4, address: "127.0.0.1", port }, false),
    admit: async () => ({ dismiss: { code: 1013, text: "no room" } }),
    onRefused: () => {},
  });
  try {
    const socket = connect(port, "127.0.0.1");
    let said = "";
    socket.setEncoding("latin1").on("data", (data: string) => {
      said += data;
    });
    socket.on("error", () => {});
    socket.write(upgrade);
    // ws itself would wait for half a minute.
    await once(socket, "close", { signal: AbortSignal.timeout(20_000) });
    assert.match(said, /^HTTP\/1\.1 101 /);
    assert.ok(said.endsWith("\x03\xf5no room"), JSON.stringify(said));
  } finally {
    await server.close();
  }
});
