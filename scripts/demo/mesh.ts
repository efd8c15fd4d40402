import { join } from "node:path";
import type { Lab } from "../../test/lab/lab.js";
import { Daemon, iexd, iexPort } from "../../test/lab/programs.js";
import { copyFile, iperf, ping } from "../../test/lab/traffic.js";
import { bold, type Demo, dim, ensure, indent, leaveNothing, type Node, say } from "./stage.js";

const drawing = `
                        ${bold("iexd")}  203.0.113.1:${iexPort}
                          |
   -----------------------+------------------------  203.0.113.0/24, "the internet"
        |                                    |
   NAT 203.0.113.2                      NAT 203.0.113.3      port-restricted, nothing forwarded
        |                                    |
   192.168.10.0/24                      192.168.10.0/24      the same private subnet on purpose
        |                                    |
   ${bold("alice")} 192.168.10.10                  ${bold("bob")} 192.168.10.10
   vpn   10.0.0.1/16                    vpn 10.0.0.2/16
`;

/** Two hosts behind two NATs join a mesh and carry real TCP. */
export async function mesh(demo: Demo, lab: Lab): Promise<void> {
  const { server, nodes } = await demo.step(
    "An internet with two NATs, from network namespaces",
    async () => {
      say(drawing);
      const server = await lab.publicHost("server");
      const nats = [await lab.router("nat1", "port-restricted"), await lab.router("nat2", "port-restricted")];
      const nodes: Node[] = [];
      for (const [index, nat] of nats.entries()) {
        const name = index === 0 ? "alice" : "bob";
        const host = await lab.hostBehind(name, nat);
        nodes.push({ name, host, daemon: new Daemon(host), vip: `10.0.0.${index + 1}` });
      }
      return { server, nodes };
    },
  );
  const [alice, bob] = nodes;
  if (alice === undefined || bob === undefined) throw new Error("the hosts were not built");

  await demo.step("Without a VPN they cannot reach each other", async () => {
    demo.show(alice, `ping -c 1 ${bob.vip}`);
    const result = await ping(alice.host, bob.vip, { count: 1, waitSeconds: 1 });
    say(indent(`${result.sent} sent, ${result.received} received`));
    ensure(result.received === 0, "alice reached bob's virtual IP before there was a VPN");
  });

  await demo.step("Start iexd on the public host and vpnd on both hosts", async () => {
    say(`  ${dim("server$")} iexd --badger`);
    for (const node of nodes) demo.show(node, "vpnd");
    await Promise.all([iexd(server), ...nodes.map((node) => node.daemon.start())]);
  });

  const key = join(lab.folder, "mesh.key");
  await demo.step("One key for the mesh, and two joins", async () => {
    await demo.ctl(alice, ["psk", "generate", "--out", key]);
    for (const node of nodes) {
      const iex = `${server.address}:${iexPort}`;
      const args = ["join", "--iex", iex, "--vip", `${node.vip}/16`, "--psk-file", key, "--name", node.name];
      await demo.ctl(node, args);
    }
  });

  await demo.step("They find each other through both NATs", async () => {
    await Promise.all([alice.daemon.peerUp(bob.vip, 30_000), bob.daemon.peerUp(alice.vip, 30_000)]);
    await demo.ctl(alice, ["peers"]);
    await demo.ctl(bob, ["peers"]);
  });

  await demo.step("Ping both ways", async () => {
    for (const [from, to] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      demo.show(from, `ping -c 5 ${to.vip}`);
      const result = await ping(from.host, to.vip, { count: 5 });
      say(indent(result.output.split("\n").slice(-3).join("\n")));
      ensure(result.received === result.sent, `${result.sent - result.received} pings were lost`);
    }
  });

  await demo.step("TCP through the tunnel, measured by iperf3", async () => {
    for (const reverse of [false, true]) {
      demo.show(alice, `iperf3 -c ${bob.vip} -C cubic -t 5${reverse ? " -R" : ""}`);
      const rate = await iperf(alice.host, bob.host, bob.vip, { seconds: 5, reverse });
      say(indent(`${(rate / 1e6).toFixed(0)} Mbit/s received by ${reverse ? alice.name : bob.name}`));
    }
  });

  await demo.step("A file of 100 MB, checked by SHA-256", async () => {
    const copy = await copyFile(alice.host, bob.host, bob.vip, 100_000_000, 60_000);
    say(indent(`sent      ${copy.sentSha256}\nreceived  ${copy.receivedSha256}`));
    say(indent(`${copy.bytes} bytes in ${copy.seconds.toFixed(1)} s, start of both programs included`));
    ensure(copy.bytes === 100_000_000, "the file arrived incomplete");
    ensure(copy.sentSha256 === copy.receivedSha256, "the file was changed on its way");
  });

  await demo.step("What vpnd counted", async () => {
    await demo.ctl(alice, ["stats"]);
    const stats = await alice.daemon.stats();
    ensure(stats.txBytes > 100_000_000, `only ${stats.txBytes} bytes were counted`);
  });

  await demo.step("Leave: nothing stays on the hosts", async () => {
    for (const node of nodes) await leaveNothing(demo, node);
  });
}
