import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { encodeClassic } from "../../../common/frames.js";
import { encodeTaken } from "../../core/tcp/hello.js";
import { makeSocket } from "../../io/native.js";
import { LinkWay, type LinkWayOptions } from "./link-way.js";

/** A way that listens on the loopback. */
async function listening(
  over: Partial<LinkWayOptions>,
): Promise<{ way: LinkWay; call: () => Promise<Socket> }> {
  let port = 0;
  const way = new LinkWay({
    tcp: { role: "listen", address: "127.0.0.1:0", tap: false, tls: false },
    virtualIp: "10.0.0.1/24",
    psks: () => [],
    makeSocket: (options) => {
      const made = makeSocket(options);
      port = made.port;
      return made;
    },
    resolve: async () => [],
    taken: () => false,
    onCandidate: async ({ stream }) => void stream.destroy(),
    onFailure: () => {},
    onDrop: () => {},
    ...over,
  });
  await way.open();
  const call = async (): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  return { way, call };
}

async function all(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  await once(socket, "close");
  return Buffer.concat(parts);
}

test("who is one too many gets the words, also when it spoke first, and is counted", async () => {
  const drops: string[] = [];
  const { way, call } = await listening({ taken: () => true, onDrop: (reason) => drops.push(reason) });
  const socket = await call();
  socket.write("hello, and more than is ever read".repeat(1000));
  assert.deepEqual(await all(socket), encodeClassic(encodeTaken(false)));
  assert.deepEqual(drops, ["second-connection"]);
  await way.close();
});

test("after the end nobody is let in, and what is being turned away is closed", async () => {
  const { way, call } = await listening({ taken: () => true });
  const socket = (await call()).resume();
  await Promise.all([way.close(), once(socket, "close")]);
  await assert.rejects(call());
});
