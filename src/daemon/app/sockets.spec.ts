import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../common/errors.js";
import type { Platform } from "./platform.js";
import { openUdpSockets } from "./sockets.js";

/** Sockets whose fate is told by `refuse`: an error code, or undefined for success. */
function platform(refuse: (family: 4 | 6, port: number) => string | undefined) {
  const open = new Set<number>();
  let next = 100;
  const made: Platform = {
    makeSocket: ({ family, port }) => {
      const bound = port === 0 ? next + 50_000 : port;
      const code = refuse(family, bound);
      if (code !== undefined) throw Object.assign(new Error(code), { code });
      open.add(++next);
      return { fd: next, port: bound };
    },
    closeFd: (fd) => open.delete(fd),
    createPacketPort: () => assert.fail("not for a mesh"),
    createMeshEngine: () => assert.fail("not here"),
  };
  return { made, open };
}

test("both families get the same port", () => {
  const { made } = platform(() => undefined);
  const { port, sockets } = openUdpSockets(made, 0, false);
  assert.ok(port > 0);
  assert.deepEqual(
    sockets.map((socket) => socket.family),
    [4, 6],
  );
});

test("a port taken for IPv6 is given up, and its IPv4 socket closed", () => {
  let first = 0;
  const { made, open } = platform((family, port) => {
    if (family === 4) first ||= port;
    return family === 6 && port === first ? "EADDRINUSE" : undefined;
  });
  const { port } = openUdpSockets(made, 0, false);
  assert.notEqual(port, first);
  assert.equal(open.size, 2);
});

test("a kernel without IPv6, or without IPv4, does with the other", () => {
  const no6 = openUdpSockets(
    platform((family) => (family === 6 ? "EAFNOSUPPORT" : undefined)).made,
    0,
    false,
  );
  assert.deepEqual(
    no6.sockets.map((socket) => socket.family),
    [4],
  );
  const no4 = openUdpSockets(
    platform((family) => (family === 4 ? "EAFNOSUPPORT" : undefined)).made,
    0,
    false,
  );
  assert.deepEqual(
    no4.sockets.map((socket) => socket.family),
    [6],
  );
  assert.ok(no4.port > 0);
});

test("a port that was asked for and is taken is a conflict; other errors are told, and nothing stays open", () => {
  const busy = platform(() => "EADDRINUSE");
  assert.throws(
    () => openUdpSockets(busy.made, 5000, true),
    (error) => error instanceof VpnError && error.code === "conflict",
  );
  assert.throws(() => openUdpSockets(busy.made, 0, false), /no UDP port/);
  const broken = platform((family) => (family === 6 ? "EMFILE" : undefined));
  assert.throws(() => openUdpSockets(broken.made, 0, false), /EMFILE/);
  assert.equal(broken.open.size, 0);
});
