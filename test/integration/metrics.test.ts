import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { carrierDrops } from "../../src/daemon/core/carrier-drops.js";
import { skip } from "./support/daemon.js";
import { ctl, joinAs, pairs, saysLater } from "./support/pair.js";

const psk = Buffer.alloc(32, 9).toString("base64");
const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
const pair = pairs();

function fetchFrom(
  socketPath: string,
  path: string,
  method = "GET",
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = get({ socketPath, path, method }, (response) => {
      let text = "";
      response.on("data", (data: Buffer) => {
        text += data.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on("error", reject);
  });
}

test("what a pair of nodes does can be read off the metrics, and each of them is documented", {
  skip,
}, async () => {
  const { alpha, beta } = pair();
  await alpha.readyVpnd("--metrics", "127.0.0.1:0");
  await beta.readyVpnd();
  await pair().server();
  await joinAs(alpha, "a", "10.7.0.1/24", psk);
  await joinAs(beta, "b", "10.7.0.2/24", psk);
  await saysLater(alpha, /vpnd_peer_up\{.*peer="10\.7\.0\.2",name="b"\} 1/, "metrics");
  const text = await saysLater(alpha, /^vpnd_peer_rtt_seconds\{.*\} \d/m, "metrics");
  for (const line of [
    /^vpnd_build_info\{version="[\d.]+",node="v\d+/m,
    /^vpnd_networks\{state="up"\} 1$/m,
    /^vpnd_network_up\{network="home"\} 1$/m,
    /^vpnd_network_bytes_total\{network="home",direction="rx"\} \d+$/m,
    /^vpnd_network_packets_total\{network="home",direction="tx"\} \d+$/m,
    /^vpnd_handshakes_total\{network="home",result="ok"\} 1$/m,
    /^vpnd_peers\{network="home",state="up"\} 1$/m,
    /^vpnd_event_loop_lag_seconds\{quantile="0.99"\} [\d.e-]+$/m,
    /^vpnd_events_total\{type="up"\} [1-9]/m,
    /^vpnd_events_lost_total 0$/m,
    /^vpnd_api_refused_total 0$/m,
    /^vpnd_api_connections_rejected_total\{reason="protocol"\} 0$/m,
    /^vpnd_peer_path_changes_total\{network="home",peer="10\.7\.0\.2",name="b"\} 0$/m,
  ])
    assert.match(text, line);
  const { listenPort } = JSON.parse(await ctl(alpha, "--json", "network"));
  const junk = `printf '\\xf0' > /dev/udp/192.0.2.1/${Number(listenPort)}`;
  execFileSync("ip", ["netns", "exec", beta.netns, "bash", "-c", junk]);
  const dropped = /^vpnd_dropped_packets_total\{network="home",reason="unknown-type"\} 1$/m;
  await saysLater(alpha, dropped, "metrics");
  for (const [, name = ""] of text.matchAll(/^# TYPE (\w+) /gm))
    if (!/^(process|nodejs)_/.test(name))
      assert.ok(page.includes(`| \`${name}\` |`), `${name} is not documented`);
});

test("the metrics socket serves them as the API does, and nothing else", { skip }, async () => {
  const vpnd = await pair().alpha.readyVpnd();
  const socket = join(pair().alpha.folder, "metrics.sock");
  assert.equal(statSync(socket).mode & 0o777 & 0o007, 0);
  const answer = await fetchFrom(socket, "/metrics");
  assert.equal(answer.status, 200);
  assert.match(answer.text, /^vpnd_networks\{state="up"\} 0$/m);
  assert.equal((await fetchFrom(socket, "/")).status, 404);
  assert.equal((await fetchFrom(socket, "/metrics", "POST")).status, 405);
  // Somebody who says nothing does not hold up the stop.
  const silent = connect(socket);
  await once(silent, "connect");
  assert.equal(await vpnd.stop(), 0);
  silent.destroy();
  assert.ok(!existsSync(socket));
});

test("--write replaces a file in one step, for everybody to read", { skip }, async () => {
  await pair().alpha.readyVpnd();
  const file = join(pair().alpha.folder, "vpnd.prom");
  assert.equal(await ctl(pair().alpha, "metrics", "--write", file), "");
  await ctl(pair().alpha, "metrics", "--write", file);
  assert.match(readFileSync(file, "utf8"), /^vpnd_build_info/m);
  assert.equal(statSync(file).mode & 0o777, 0o644);
});

test("every reason for a drop, and every result of a handshake, is documented", () => {
  for (const word of [...dropReasons(), "ok", "rekey", ...failures()])
    assert.ok(page.includes(`\`${word}\``), word);
});

/** As the engine, the packet port and the carriers name them. */
function dropReasons(): string[] {
  const engine = /drop_names = \{([^}]*)\}/.exec(source("native/src/counters.h"))?.[1] ?? "";
  const port = /port_drop_names = \{([^}]*)\}/.exec(source("native/src/port_counters.h"))?.[1] ?? "";
  const native = [...`${engine},${port}`.matchAll(/"([a-z-]+)"/g)].map(([, name = ""]) => name);
  assert.ok(native.length > 25);
  return [...native, ...carrierDrops];
}

function failures(): string[] {
  const union = /type HandshakeFailure =([^;]*);/.exec(source("src/daemon/core/engine.ts"))?.[1] ?? "";
  const names = [...union.matchAll(/^ *\| "([a-z-]+)"/gm)].map(([, name = ""]) => name);
  assert.ok(names.length > 6);
  return names;
}

function source(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}
