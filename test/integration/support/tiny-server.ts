/**
 * A rendezvous server of a few lines for tests of vpnd alone: it answers each heartbeat with the map of all nodes it has heard
 * of. Run it with an address and a port; it says "ready" when it listens. Extra nodes are given as VIRTUAL-IP@ENDPOINT.
 */
import { createSocket } from "node:dgram";

const [address = "127.0.0.1", port = "9944", ...extra] = process.argv.slice(2);
const nodes = new Map<string, { VirtualIP: string; PrivateIP: string; PublicIP: string }>();
for (const node of extra) {
  const [virtualIp = "", endpoint = ""] = node.split("@");
  nodes.set(endpoint, { VirtualIP: virtualIp, PrivateIP: endpoint, PublicIP: endpoint });
}
const socket = createSocket("udp4");
socket.on("message", (data, from) => {
  const heartbeat = JSON.parse(data.toString());
  const key = `${from.address}:${from.port}`;
  nodes.set(key, { VirtualIP: heartbeat.VirtualIP, PrivateIP: heartbeat.PrivateIP ?? key, PublicIP: key });
  const list = [...nodes.values()];
  const answer = { Nodes: list, MyIndex: list.findIndex((node) => node.PublicIP === key) };
  socket.send(JSON.stringify(answer), from.port, from.address);
});
socket.bind(Number(port), address, () => process.stdout.write("ready\n"));
process.on("SIGTERM", () => process.exit(0));
