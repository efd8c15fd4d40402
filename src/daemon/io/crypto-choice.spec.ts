import assert from "node:assert/strict";
import { after, test } from "node:test";
import { VpnError } from "../../common/errors.js";
import { chooseCrypto, closeFd, createMeshEngine, makeSocket } from "./native.js";

after(() => chooseCrypto("auto"));

test("who protects packets can be chosen, and is said", () => {
  assert.match(chooseCrypto("openssl"), /^OpenSSL \d+\.\d+/);
  assert.match(chooseCrypto("auto"), /^(OpenSSL|libipsec-mb) \d+\.\d+/);
});

test("libipsec-mb is used when asked for, or refused with what to do", () => {
  chooseCrypto("openssl");
  try {
    assert.match(chooseCrypto("ipsec-mb"), /^libipsec-mb \d+\.\d+/);
  } catch (error) {
    assert.ok(error instanceof VpnError && error.code === "failed");
    assert.match(error.message, /engine\.crypto = "ipsec-mb" cannot be used: .*libipsec-mb/);
    assert.match(error.hint ?? "", /"auto"/);
    assert.match(chooseCrypto("openssl"), /^OpenSSL/);
  }
});

test("an engine says who protects its packets", async () => {
  const name = chooseCrypto("openssl");
  const udp = () => makeSocket({ family: 4, kind: "udp", port: 0, address: "127.0.0.1" }).fd;
  const [tunFd, fd] = [udp(), udp()];
  const engine = createMeshEngine({
    identity: {
      badger: false,
      nodeSeed: new Uint8Array(32).fill(1),
      epochs: [
        {
          id: 1,
          dtlsPsk: new Uint8Array(32).fill(2),
          identityKey: new Uint8Array(32).fill(3),
          probePsk: new Uint8Array(64).fill(0x61),
          networkId: new Uint8Array(32).fill(4),
          record: new Uint8Array(10),
        },
      ],
    },
    tunFd,
    mtu: 1400,
    sockets: [{ family: 4, fd }],
    threads: 1,
    pingIntervalMs: 1000,
    deadAfterMs: 5000,
  });
  try {
    assert.equal(engine.features?.()?.crypto, name);
  } finally {
    await engine.stop();
  }
  assert.throws(() => closeFd(fd), { code: "EBADF" });
});
