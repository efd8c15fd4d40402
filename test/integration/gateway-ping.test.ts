/** `vpnctl gateway ping`, without vpnd: against a gateway that this file is. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Manners, type TinyGateway, tinyGateway } from "./support/tiny-gateway.js";
import { type Result, vpnctl } from "./support/vpnctl-run.js";

const folder = mkdtempSync(join(tmpdir(), "vpnd-gateway-ping-"));
const gateways: TinyGateway[] = [];
after(() => {
  for (const gateway of gateways) gateway.close();
  rmSync(folder, { recursive: true });
});

async function gateway(manners?: Manners): Promise<{ url: string; tiny: TinyGateway }> {
  const tiny = await tinyGateway(manners);
  gateways.push(tiny);
  return { url: `ws://127.0.0.1:${tiny.port}/tunnel`, tiny };
}

async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

const ping = (url: string, ...more: string[]): Promise<Result> =>
  vpnctl(["gateway", "ping", url, "--interval", "100ms", ...more]);

test("both families, both protocols", async () => {
  const { url } = await gateway();
  for (const address of ["93.184.216.34", "2606:2800:220:1::34"]) {
    for (const more of [[], ["--fanqiang"]]) {
      const { code, out, err } = await ping(url, address, "-c", "2", ...more);
      assert.equal(code, 0, err);
      assert.match(
        out,
        new RegExp(`^${address}: seq 1, .* ms, gateway as (10\\.91\\.0\\.2|fd76:706e:6477::1)\n`),
      );
      assert.match(out, /# 2 sent, 2 answered, 0 % lost/);
    }
  }
});

test("JSON is a document for each probe", async () => {
  const { url } = await gateway();
  const { out } = await ping(url, "93.184.216.34", "-c", "2", "--json");
  const documents = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    documents.map(({ sequence, from }) => [sequence, from]),
    [
      [1, "10.91.0.2"],
      [2, "10.91.0.2"],
    ],
  );
  assert.ok(documents.every(({ rttSeconds }) => rttSeconds > 0));
});

test("the token goes into a header, and is not shown", async () => {
  const { url, tiny } = await gateway();
  const file = join(folder, "token");
  writeFileSync(file, "vpngw_secret\n", { mode: 0o600 });
  const { code, out, err } = await ping(url, "93.184.216.34", "-c", "1", "--token-file", file, "--debug");
  assert.equal(code, 0, err);
  assert.deepEqual(tiny.tokens, ["Bearer vpngw_secret"]);
  assert.doesNotMatch(out + err, /secret/);
  const refused = await ping(url, "93.184.216.34", "--fanqiang", "--token-file", file);
  assert.equal(refused.code, 2);
});

test("no answer is exit 8, and what ends the tunnel is told", async () => {
  const silent = await ping((await gateway("deaf")).url, "10.0.0.1", "-c", "2", "--timeout", "300ms");
  assert.equal(silent.code, 8);
  assert.match(silent.out, /10\.0\.0\.1: no answer, seq 2\n# 2 sent, 0 answered, 100 % lost/);
  assert.match(silent.err, /private and special addresses/);
  const rude = await ping((await gateway("rude")).url, "93.184.216.34");
  assert.equal(rude.code, 1);
  assert.match(rude.err, /closed the connection: disconnected by the gateway's operator/);
  const strict = await ping((await gateway("strict")).url, "93.184.216.34");
  assert.equal(strict.code, 4);
  assert.match(strict.err, /does not take the token/);
  const full = await ping((await gateway("full")).url, "93.184.216.34");
  assert.match(full.err, /no room/);
  const nobody = await ping("ws://127.0.0.1:9/", "93.184.216.34");
  assert.equal(nobody.code, 8);
  assert.match(nobody.err, /cannot connect to 127\.0\.0\.1:9: ECONNREFUSED/);
});

test("by way of a proxy that takes CONNECT", async () => {
  const { tiny } = await gateway();
  const asked: string[] = [];
  const proxy = createServer().on("connect", (request, client) => {
    asked.push(request.url ?? "");
    const server = connect(tiny.port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      server.pipe(client).pipe(server);
    });
    server.on("error", () => client.destroy());
    client.on("error", () => server.destroy());
  });
  const port = await portOf(proxy);
  const way = ["--proxy", `http://127.0.0.1:${port}`];
  const { code, err } = await ping("ws://gateway.example/tunnel", "93.184.216.34", "-c", "1", ...way);
  proxy.close();
  assert.equal(code, 0, err);
  assert.deepEqual(asked, ["gateway.example:80"]);
});

test("Ctrl-C ends it with what it has", async () => {
  const { url } = await gateway();
  const abort = new AbortController();
  const result = await vpnctl(["gateway", "ping", url, "93.184.216.34", "-c", "0"], {
    abort,
    onOut: () => abort.abort(),
  });
  assert.equal(result.code, 130);
  assert.match(result.out, /# 1 sent, 1 answered/);
});

for (const [line, why] of [
  ["http://127.0.0.1/ 10.0.0.1", /wss:\/\//],
  ["ws://127.0.0.1/ example.net", /is no address/],
  ["ws://127.0.0.1/", /ADDRESS/],
  ["ws://127.0.0.1/ 10.0.0.1 --proxy socks://x", /http:\/\//],
] as const)
  test(`refused: gateway ping ${line}`, async () => {
    const { code, err } = await vpnctl(["gateway", "ping", ...line.split(" ")]);
    assert.equal(code, 2, err);
    assert.match(err, why);
  });
