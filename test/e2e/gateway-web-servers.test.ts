/** A gateway behind nginx and behind Caddy, each with the very example of docs/gateway.md; the client's network is declared in vpnd.toml. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import { internet4, internet6, internetHost, internetRoutes } from "../lab/internet-host.js";
import type { Host } from "../lab/lab.js";
import { Daemon, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping, reachable } from "../lab/traffic.js";
import { makeCertificate, serverName, webServers } from "../lab/web-servers.js";
import { netnsFolder } from "../support/resolv-conf.js";

interface Scene {
  gateway: Daemon;
  a: Daemon;
  web: Host;
  /** Of the client, as the web server sees it. */
  from: string;
}

interface Clients {
  clients?: { id: number; remote: string; state: string; addresses: string[] }[];
}

const clients = async ({ gateway }: Scene) =>
  (await gateway.json<Clients>(["gateway", "clients"])).clients ?? [];

/** With its routes, without which it would reach the lab's Internet too. */
async function isUp({ a }: Scene): Promise<void> {
  await waitFor(
    async () => (await a.json<{ state: string }>(["network", "net"])).state === "up",
    60_000,
    "the client is connected",
    () => a.ok(["network", "net"]),
  );
}

labSuite<Scene>(
  "gateway-web-servers",
  async (lab) => {
    const host = await lab.publicHost("gw");
    const router = await lab.router("ra", "blocked");
    const behind = await lab.hostBehind("a", router);
    const web = await internetHost(lab);
    // Its name is known as from a DNS server.
    mkdirSync(join(netnsFolder, behind.netns), { recursive: true });
    writeFileSync(join(netnsFolder, behind.netns, "hosts"), `${host.address} ${serverName}\n`);
    process.env.SSL_CERT_FILE = await makeCertificate(host);
    const gateway = await vpnd(host);
    const { token } = await gateway.json<{ token: string }>(["gateway", "user", "add", "a"]);
    await gateway.ok(["gateway", "start"]);
    writeFileSync(join(behind.folder, "token"), `${token}\n`, { mode: 0o600 });
    const section = [
      "[network.net]",
      `gateway = "wss://${serverName}/tunnel"`,
      `token_file = "${join(behind.folder, "token")}"`,
      `routes = ${JSON.stringify(internetRoutes.split(","))}`,
    ];
    writeFileSync(join(behind.folder, "vpnd.toml"), `${section.join("\n")}\n`);
    const a = new Daemon(behind);
    await a.start(["--config", join(behind.folder, "vpnd.toml")]);
    return { gateway, a, web, from: router.publicAddress };
  },
  (step) => {
    for (const { name, start, reload, keepsOnReload } of webServers) {
      step(`${name}: in, out, large files, a reload, its end`, async (scene) => {
        const { gateway, a, web, from } = scene;
        const server = await start(gateway.host);
        await isUp(scene);
        assert.equal((await ping(a.host, internet4)).received, 3);
        assert.equal((await ping(a.host, internet6)).received, 3);
        const copied = await copyFile(a.host, web, internet4, 10_000_000);
        assert.equal(copied.receivedSha256, copied.sentSha256);
        assert.match((await a.peers()).peers[0]?.cipher ?? "", /^TLS_/);
        const [before] = await clients(scene);
        assert.ok(before);
        assert.ok(before.remote.startsWith(`${from}`), `${before.remote} is ${from}`);

        await reload(gateway.host);
        // Its routes stay, so nothing gets there another way meanwhile.
        await reachable(a.host, internet4, 60_000);
        const again = await waitFor(
          async () =>
            (await clients(scene)).find(
              ({ id, state }) => state === "up" && (id === before.id) === keepsOnReload,
            ),
          20_000,
          keepsOnReload ? "the same connection" : "another connection",
          () => clients(scene),
        );
        assert.deepEqual(again.addresses, before.addresses);
        await server.stop();
        await waitFor(
          async () => (await clients(scene))[0]?.state === "away",
          20_000,
          "the gateway sees that it is away",
        );
      });
    }
  },
);
