/** Connects to ADDRESS PORT again and again, sends what no decent end would, and goes away politely or not. */
import { randomBytes } from "node:crypto";
import { createConnection } from "node:net";

const [address = "", port = ""] = process.argv.slice(2);
const say: readonly Buffer[] = [
  Buffer.alloc(0),
  Buffer.from([0]),
  Buffer.from("0000", "hex"),
  Buffer.concat([Buffer.from("ffff", "hex"), Buffer.alloc(65_535, 0x45)]),
  Buffer.from("GET / HTTP/1.1\r\n\r\n"),
  Buffer.from("1603010005", "hex"),
  randomBytes(100_000),
];

for (const bytes of say) {
  for (const polite of [true, false]) {
    const socket = createConnection(Number(port), address);
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.once("connect", () => {
      socket.write(bytes, () => (polite ? socket.end() : socket.resetAndDestroy()));
      socket.resume();
    });
    await closed;
  }
}
