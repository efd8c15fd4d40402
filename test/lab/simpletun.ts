/**
 * The classic simpletun's wire format, frozen: simpletun.ts DEVICE tun|tap listen PORT | connect ADDRESS PORT.
 * As with the original the device is there already, there is one connection, and the program ends at its end or when the device
 * refuses a write. What is sent is in two writes, as the original does.
 */
import { read, writeSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { openTun } from "../../src/daemon/io/native.js";

const [device = "", kind = "", role = "", ...rest] = process.argv.slice(2);
const largest = 2000;
const { fd } = openTun({ name: device, tap: kind === "tap", plain: true });

function end(message: string): never {
  process.stdout.write(`${message}\n`);
  process.exit(1);
}

function serve(socket: Socket): void {
  process.stdout.write("connected\n");
  let pending = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2) {
      const length = pending.readUInt16BE(0);
      if (length > largest) end(`overrun by a length of ${length}`);
      if (pending.length < 2 + length) return;
      const packet = pending.subarray(2, 2 + length);
      pending = pending.subarray(2 + length);
      try {
        writeSync(fd, packet);
      } catch (error) {
        end(`Writing data: ${String(error)}: ${packet.toString("hex", 0, 60)}`);
      }
    }
  });
  socket.on("close", () => end("closed"));
  socket.on("error", () => end("closed"));
  const buffer = Buffer.alloc(largest);
  const next = (): void =>
    read(fd, buffer, 0, largest, null, (error, length) => {
      if (error !== null) {
        if (error.code === "EAGAIN") setTimeout(next, 1);
        else end(`Reading data: ${String(error)}`);
        return;
      }
      const head = Buffer.alloc(2);
      head.writeUInt16BE(length);
      socket.write(head);
      socket.write(Buffer.from(buffer.subarray(0, length)));
      setImmediate(next);
    });
  next();
}

if (role === "listen") {
  const server = createServer((socket) => {
    server.close();
    serve(socket);
  });
  server.listen(Number(rest[0]), "0.0.0.0", () => process.stdout.write("listening\n"));
} else {
  const socket = createConnection(Number(rest[1]), rest[0] ?? "", () => serve(socket));
}
