/** A DNS server of the lab's Internet: knows every A record below one name, and says whom it told. Arguments: address, name, answer. */
import { createSocket } from "node:dgram";
import dnsPacket from "dns-packet";

const [address = "", suffix = "", data = ""] = process.argv.slice(2);
const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
socket.on("message", (message, from) => {
  // Whoever tries whether anything gets through sends less.
  if (message.length < 12) return;
  const { id = 0, questions = [] } = dnsPacket.decode(message);
  const [question] = questions;
  if (question === undefined) return;
  const known = question.name.toLowerCase().endsWith(suffix);
  console.log(`${from.address} asks for ${question.type} ${question.name}`);
  const answer = dnsPacket.encode({
    type: "response",
    id,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE | (known ? 0 : 3),
    questions: [question],
    answers: known && question.type === "A" ? [{ name: question.name, type: "A", ttl: 60, data }] : [],
  });
  socket.send(answer, from.port, from.address);
});
socket.bind(53, address, () => console.log("listening"));
