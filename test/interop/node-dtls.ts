/** node-dtls-client as a program: hex lines on standard input are sent; says "connected", "message HEX", "error TEXT", "closed". */
import { createInterface } from "node:readline";
import { dtls } from "node-dtls-client";

const { address, port, identity, psk } = JSON.parse(process.argv[2] ?? "{}");
const say = (line: string) => process.stdout.write(`${line}\n`);
const socket = dtls.createSocket({ type: "udp4", address, port, psk: { [identity]: psk }, timeout: 10_000 });
let over = false;
socket.on("connected", () => say("connected"));
socket.on("message", (message: Buffer) => say(`message ${message.toString("hex")}`));
socket.on("error", (error: Error) => say(`error ${error.message}`));
socket.on("close", () => {
  over = true;
  say("closed");
  process.stdin.destroy();
});
createInterface({ input: process.stdin })
  .on("line", (line) => socket.send(Buffer.from(line, "hex")))
  .on("close", () => {
    if (!over) socket.close();
  });
