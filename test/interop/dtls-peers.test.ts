/** The engine and foreign DTLS programs shake hands in both roles and carry IP packets both ways. */
import assert from "node:assert/strict";
import { networkKeys } from "../../src/daemon/core/keys/schedule.js";
import { waitFor } from "../lab/command.js";
import type { Host } from "../lab/lab.js";
import { labSuite } from "../lab/suite.js";
import { ping } from "../lab/traffic.js";
import { EngineNode } from "./engine-node.js";
import {
  foreignSuite,
  gnutlsClient,
  gnutlsServer,
  NodeDtlsClient,
  opensslClient,
  opensslServer,
  requirePrograms,
} from "./foreign-peers.js";
import { echoed, echoReply, echoRequest, parseIp } from "./ip-packet.js";

const psk = "a password as Badger has it";
const good = { identity: "badger", psk };
const wrong = { identity: "badger", psk: "another password" };
const badgerPort = 4001;

interface Scene {
  node: Host;
  foreign: Host;
  engine: EngineNode;
}

const own = "10.9.0.1";
const theirs = "10.9.0.2";
const marked = (text: string) => Buffer.from(`<${text}>`.repeat(4));

/** A reply as the kernel behind the engine makes it, but for the header, which is the kernel's affair. */
function replyBody(request: Buffer): Buffer {
  return echoReply(request)?.subarray(20) ?? Buffer.alloc(0);
}

labSuite<Scene>(
  "foreign-dtls",
  async (lab) => {
    await requirePrograms("openssl", "gnutls-serv", "gnutls-cli");
    const [node, foreign] = [await lab.publicHost("node"), await lab.publicHost("foreign")];
    const engine = await EngineNode.start(node, {
      device: "badger0",
      badger: true,
      psk,
      port: badgerPort,
      address: `${own}/24`,
      peer: `${theirs}/32`,
      mtu: 1400,
    });
    return { node, foreign, engine };
  },
  (step) => {
    step("openssl s_client, whatever its identity", async ({ node, foreign, engine }) => {
      for (const identity of ["badger", "somebody", "Client_identity"]) {
        engine.forget();
        const client = opensslClient(foreign, `${node.address}:${badgerPort}`, { identity, psk });
        const up = await engine.next("up");
        assert.equal(up.foreign, true);
        assert.equal(up.role, "server");
        assert.match(up.endpoint, new RegExp(`^${foreign.address}:`));
        const request = echoRequest(theirs, own, 1, marked(identity));
        client.send(request);
        await client.receive(replyBody(request), `the kernel's answer to ${identity}`);
        await client.close();
        const closed = await engine.next("closed");
        assert.equal(closed.assoc, up.assoc);
      }
    });

    step("node-dtls-client, and it answers our ping", async ({ node, foreign, engine }) => {
      engine.forget();
      const client = new NodeDtlsClient(foreign, { address: node.address, port: badgerPort }, good);
      await client.connected();
      assert.equal((await engine.next("up")).foreign, true);
      client.send(echoRequest(theirs, own, 1, marked("there and back")));
      await client.program.until(
        () => client.messages.some((message) => echoed(message)?.equals(marked("there and back")) === true),
        10_000,
        "the answer arrives",
      );
      const answering = answerAll(client);
      const result = await ping(node, theirs, { count: 3 });
      answering.stop();
      assert.equal(result.received, 3, result.output);
      for (const message of client.messages) assert.ok(parseIp(message), message.toString("hex"));
      await client.close();
      await engine.next("closed");
    });

    step("gnutls-cli --udp", async ({ node, foreign, engine }) => {
      engine.forget();
      const client = gnutlsClient(foreign, { address: node.address, port: badgerPort }, good);
      const up = await engine.next("up");
      assert.deepEqual([up.role, up.foreign], ["server", true]);
      const request = echoRequest(theirs, own, 1, marked("gnutls"));
      client.send(request);
      await client.receive(replyBody(request), "the kernel's answer");
      await client.close();
      await engine.next("closed");
    });

    step("openssl s_server, with a cookie", async ({ node, foreign, engine }) => {
      engine.forget();
      const server = await opensslServer(foreign, 4002, good);
      const tag = engine.connect(`${foreign.address}:4002`);
      const up = await engine.next("up");
      assert.deepEqual([up.tag, up.role, up.foreign], [tag, "client", true]);
      const request = echoRequest(theirs, own, 1, marked("from the server"));
      server.send(request);
      await server.receive(replyBody(request), "the kernel's answer");
      await ping(node, theirs, { count: 1, size: 64, waitSeconds: 1 });
      await server.receive(Buffer.from([0x45, 0, 0, 92]), "our ping");
      await server.close();
    });

    step("gnutls-serv --udp, which sends back what it gets", async ({ node, foreign, engine }) => {
      engine.forget();
      const server = await gnutlsServer(foreign, 4003, good);
      engine.connect(`${foreign.address}:4003`);
      const up = await engine.next("up");
      assert.deepEqual([up.role, up.foreign], ["client", true]);
      const before = await engine.counters();
      await ping(node, theirs, { count: 2, waitSeconds: 1 });
      // Its packets bear our own address, which is none of its own: opened, checked and dropped.
      const after = await engine.counters(
        (now) => (now.drops["foreign-source"] ?? 0) >= (before.drops["foreign-source"] ?? 0) + 2,
      );
      assert.ok(after.txPackets >= before.txPackets + 2);
      assert.equal(after.rxPackets, before.rxPackets);
      await server.close();
    });

    step("packets from another inner source are dropped", async ({ node, foreign, engine }) => {
      engine.forget();
      const client = new NodeDtlsClient(foreign, { address: node.address, port: badgerPort }, good);
      await client.connected();
      const before = await engine.counters();
      client.send(echoRequest("10.9.0.77", own, 1, marked("posing")));
      await engine.counters(
        (now) => (now.drops["foreign-source"] ?? 0) > (before.drops["foreign-source"] ?? 0),
      );
      client.send(echoRequest(theirs, own, 2, marked("honest")));
      await client.program.until(
        () => client.messages.some((message) => echoed(message)?.equals(marked("honest")) === true),
        10_000,
        "the answer to the honest packet",
      );
      assert.equal(client.messages.length, 1);
      await client.close();
    });

    step("a wrong PSK never comes up: foreign client", async ({ node, foreign, engine }) => {
      engine.forget();
      const openssl = opensslClient(foreign, `${node.address}:${badgerPort}`, wrong);
      const hint = await engine.next("wrong-psk");
      assert.equal(hint.role, "server");
      await openssl.close();
      const client = new NodeDtlsClient(foreign, { address: node.address, port: badgerPort }, wrong);
      await client.program.until(() => client.errors.length > 0, 15_000, "node-dtls-client gives up");
      assert.ok(!client.program.log.includes("connected\n"));
      await client.close();
      assert.ok(!engine.lines.some((line) => line.type === "up" || line.type === "foreign"));
    });

    step("a wrong PSK never comes up: foreign server", async ({ foreign, engine }) => {
      engine.forget();
      const server = await opensslServer(foreign, 4004, wrong);
      const tag = engine.connect(`${foreign.address}:4004`);
      const failed = await engine.next("failed", (line) => line.tag === tag, 20_000);
      assert.equal(failed.reason, "wrong-psk");
      assert.ok(!engine.lines.some((line) => line.type === "up" || line.type === "foreign"));
      await server.close();
    });

    step(
      "without --badger a foreign client gets nowhere, and a foreign server is not asked",
      async ({ node, foreign }) => {
        const port = 4005;
        const engine = await EngineNode.start(node, {
          device: "strict0",
          badger: false,
          psk,
          port,
          address: "10.8.0.1/24",
          peer: "10.8.0.2/32",
          mtu: 1400,
        });
        for (const identity of ["badger", "vpnd-probe"]) {
          const client = opensslClient(foreign, `${node.address}:${port}`, { identity, psk });
          await engine.next("wrong-psk", (line) => line.role === "server");
          await client.close();
          engine.forget();
        }
        const server = await opensslServer(foreign, 4006, good);
        const tag = engine.connect(`${foreign.address}:4006`);
        await engine.next("failed", (line) => line.tag === tag, 20_000);
        await server.close();
        assert.ok(!engine.lines.some((line) => line.type === "up" || line.type === "foreign"));
        await engine.stop();
      },
    );

    step(
      "vpnd-probe finishes and is closed, with and without --badger",
      async ({ node, foreign, engine }) => {
        const port = 4007;
        const strict = await EngineNode.start(node, {
          device: "strict1",
          badger: false,
          psk,
          port,
          address: "10.8.1.1/24",
          peer: "10.8.1.2/32",
          mtu: 1400,
        });
        for (const [to, which] of [
          [port, strict],
          [badgerPort, engine],
        ] as const) {
          which.forget();
          const args = ["s_client", "-dtls1_2", "-connect", `${node.address}:${to}`, "-cipher", foreignSuite];
          const key = ["-psk", probePskHex(), "-psk_identity", "vpnd-probe", "-ign_eof"];
          const probe = foreign.spawn("probe", "openssl", [...args, ...key], { stdin: true });
          await waitFor(() => probe.code !== undefined, 10_000, "it is closed");
          assert.equal(probe.code, 0, probe.log);
          assert.match(probe.log, /Cipher is PSK-AES128-GCM-SHA256/);
          assert.match(probe.log, /^closed$/m);
          assert.deepEqual(which.lines, []);
        }
        await strict.stop();
      },
    );
  },
);

function probePskHex(): string {
  return Buffer.from(networkKeys(Buffer.from(psk), true).epoch.probePsk).toString("hex");
}

/** Answers what is asked of it, as a host at the far end would. */
function answerAll(client: NodeDtlsClient): { stop: () => void } {
  let answered = client.messages.length;
  const timer = setInterval(() => {
    const messages = client.messages;
    for (const message of messages.slice(answered)) {
      const reply = echoReply(message);
      if (reply !== undefined) client.send(reply);
    }
    answered = messages.length;
  }, 20);
  return { stop: () => clearInterval(timer) };
}
