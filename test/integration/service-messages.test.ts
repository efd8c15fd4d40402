/** What systemd is told, from the bytes on its socket: by the addon alone, and by the real programs. */
import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync } from "node:fs";
import { after, test } from "node:test";
import { systemdLinks } from "../../src/common/systemd/links.js";
import { ServiceSocket } from "../support/service-socket.js";
import { Bench, until } from "./support/daemon.js";

const sockets: ServiceSocket[] = [];
after(() => {
  for (const socket of sockets) socket.close();
});

function listen(path?: string): ServiceSocket {
  const socket = new ServiceSocket(path);
  sockets.push(socket);
  return socket;
}

test("a message reaches a socket with a path, and one without", () => {
  for (const path of [undefined, `@vpnd-test-${process.pid}`]) {
    const socket = listen(path);
    systemdLinks.datagram(socket.path, "STATUS=é\nX=1");
    assert.deepEqual(socket.read(), [{ text: "STATUS=é\nX=1" }]);
  }
});

test("a descriptor goes along, and stays open here", () => {
  const socket = listen();
  const sent = openSync("/dev/null", "r");
  systemdLinks.datagram(socket.path, "FDSTORE=1\nFDNAME=x", sent);
  const [message] = socket.read();
  assert.ok(message?.fd !== undefined);
  assert.notEqual(message.fd, sent);
  assert.equal(fstatSync(message.fd).rdev, fstatSync(sent).rdev);
  closeSync(message.fd);
  closeSync(sent);
});

test("errors carry the system's code; nonsense is a TypeError", () => {
  assert.throws(() => systemdLinks.datagram("/nonexistent/socket", "READY=1"), { code: "ENOENT" });
  const socket = listen();
  assert.throws(() => systemdLinks.datagram(socket.path, "X=1", 999_999), { code: "EBADF" });
  for (const path of ["", "/", "@", "relative", `/${"x".repeat(120)}`]) {
    assert.throws(() => systemdLinks.datagram(path, "READY=1"), TypeError);
  }
  assert.throws(() => systemdLinks.datagram(socket.path, "x".repeat(5000)), TypeError);
  assert.deepEqual(socket.read(), []);
});

for (const program of ["vpnd", "iexd"] as const) {
  test(`${program} tells start, signs of life and stop, in this order`, async () => {
    const socket = listen();
    const bench = new Bench();
    try {
      const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "600000" };
      const args =
        program === "vpnd"
          ? ["src/daemon/app/main.ts", "--state-dir", bench.stateDir, "--socket", bench.socket]
          : ["src/iex/app/main.ts", "--listen", "127.0.0.1:0"];
      const [script = "", ...more] = args;
      const running = bench.start(script, more, env);
      const ready = await socket.got(/^READY=1$/m);
      assert.match(
        ready.text,
        program === "vpnd" ? /^STATUS=no network joined$/m : /^STATUS=serving nodes$/m,
      );
      const signs = (): number => socket.read().filter((one) => one.text === "WATCHDOG=1").length;
      await socket.got(/^WATCHDOG=1$/);
      const before = signs();
      await until(() => signs() > before + 1, "more signs of life");
      assert.equal(await running.stop(), 0);
      await socket.got(/^STOPPING=1$/);
      const texts = socket.read().map((one) => one.text);
      assert.ok(texts.findIndex((text) => text.includes("READY=1")) < texts.indexOf("WATCHDOG=1"));
      assert.ok(texts.indexOf("STOPPING=1") > texts.lastIndexOf("WATCHDOG=1"));
    } finally {
      await bench.close();
    }
  });
}
