import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "../../test/lab/lab.js";
import { Database } from "../../test/lab/postgres.js";
import { Daemon } from "../../test/lab/programs.js";
import { copyFile, iperf, ping } from "../../test/lab/traffic.js";
import { bold, type Demo, dim, ensure, indent, leaveNothing, type Node, say } from "./stage.js";

const drawing = `
                   ${bold("PostgreSQL")}  203.0.113.1:5432
                          |
   -----------------------+------------------------  203.0.113.0/24, "the internet"
        |                                    |
   NAT 203.0.113.2                      NAT 203.0.113.3      symmetric, UDP blocked
        |                                    |
   ${bold("alice")} 192.168.10.10                  ${bold("bob")} 192.168.10.10
   vpn   10.9.0.1/24                    vpn 10.9.0.2/24
`;

const password = "correct horse";
const noUdp =
  "add table inet no_udp; add chain inet no_udp f { type filter hook forward priority 0; }; add rule inet no_udp f meta l4proto udp drop";

/** Two hosts whose only common ground is a PostgreSQL; then what it has recorded. */
export async function postgres(demo: Demo, lab: Lab): Promise<void> {
  const { server, alice, bob } = await demo.step(
    "An internet with two NATs that let no UDP through",
    async () => {
      say(drawing);
      const server = await lab.publicHost("server");
      const nodes: Node[] = [];
      for (const [index, name] of ["alice", "bob"].entries()) {
        const nat = await lab.router(`nat${index + 1}`, "symmetric");
        await nat.nft(noUdp);
        const host = await lab.hostBehind(name, nat);
        nodes.push({ name, host, daemon: new Daemon(host), vip: `10.9.0.${index + 1}` });
      }
      const [alice, bob] = nodes;
      if (alice === undefined || bob === undefined) throw new Error("the hosts were not built");
      return { server, alice, bob };
    },
  );
  const nodes = [alice, bob];

  const database = await demo.step("A private PostgreSQL, with a role for the network", async () => {
    const made = await Database.create(server, server.address);
    await made.makeLog("vpn", password);
    return made;
  });

  await demo.step("vpnd on both hosts, and two joins", async () => {
    for (const node of nodes) demo.show(node, "vpnd");
    await Promise.all(nodes.map((node) => node.daemon.start()));
    for (const node of nodes) {
      const secret = join(node.host.folder, "password");
      writeFileSync(secret, password, { mode: 0o600 });
      const args = [
        "join",
        "--postgres",
        database.url("vpn", "sslmode=require"),
        "--vip",
        `${node.vip}/24`,
        "--name",
        node.name,
      ];
      await demo.ctl(node, [...args, "--postgres-password-file", secret]);
    }
  });

  await demo.step("They see each other through the database", async () => {
    await Promise.all([alice.daemon.peerUp(bob.vip, 30_000), bob.daemon.peerUp(alice.vip, 30_000)]);
    await demo.ctl(alice, ["peers"]);
  });

  await demo.step("Ping, TCP and a file", async () => {
    demo.show(alice, `ping -c 5 ${bob.vip}`);
    const result = await ping(alice.host, bob.vip, { count: 5 });
    say(indent(result.output.split("\n").slice(-3).join("\n")));
    ensure(result.received === result.sent, `${result.sent - result.received} pings were lost`);
    demo.show(alice, `iperf3 -c ${bob.vip} -C cubic -t 5`);
    const rate = await iperf(alice.host, bob.host, bob.vip, { seconds: 5 });
    say(
      indent(`${(rate / 1e6).toFixed(0)} Mbit/s, each packet on the database's disk before it was delivered`),
    );
    const copy = await copyFile(alice.host, bob.host, bob.vip, 10_000_000, 60_000);
    say(indent(`10 MB: sent      ${copy.sentSha256}\n       received  ${copy.receivedSha256}`));
    ensure(copy.sentSha256 === copy.receivedSha256, "the file was changed on its way");
  });

  await demo.step("What the log knows: who talked, and the first packets of a connection", async () => {
    const ask = async (question: string): Promise<string> => {
      say(`  ${dim("server$")} psql -c "${question}"`);
      const answer = await database.sql(question);
      say(indent(answer));
      return answer;
    };
    const talked = await ask(
      "SELECT sender_name, receiver_name, protocol, count(*), pg_size_pretty(sum(total_length)) FROM vpnd.log GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 6",
    );
    ensure(talked.includes("alice") && talked.includes("bob"), "the log does not know who talked");
    await ask(
      "SELECT at, source, source_port, destination, destination_port, tcp_flags, total_length FROM vpnd.log WHERE protocol = 6 ORDER BY at, seq LIMIT 4",
    );
  });

  await demo.step("The same from a node: the newest packets, and a file for tcpdump", async () => {
    const filter = ["--filter", "icmp"];
    const newest = await demo.ctl(alice, ["log", "query", ...filter, "--limit", "4"]);
    ensure(newest.includes(bob.vip), "the log has no pings");
    const file = join(alice.host.folder, "ping.pcap");
    await demo.ctl(alice, ["log", "export", "--pcap", file, ...filter]);
    demo.show(alice, "tcpdump -n -c 4 -r /alice/ping.pcap");
    const read = await alice.host.exec("tcpdump", ["-n", "-c", "4", "-r", file]);
    say(indent(read.stdout));
    ensure(read.stdout.includes("ICMP echo request"), `tcpdump does not read the file: ${read.stderr}`);
  });

  await demo.step("Leave: nothing stays on the hosts, the log stays in the database", async () => {
    for (const node of nodes) await leaveNothing(demo, node);
    const rows = Number(await database.sql("SELECT count(*) FROM vpnd.log"));
    say(indent(`${rows} rows`));
    ensure(rows > 0, "the log is empty");
    await database.stop();
  });
}
