/** Packet ports on real TUN and TAP devices, in network namespaces that end with their processes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { must } from "../lab/command.js";
import type { PortAttack } from "./support/port-attack.js";
import type { PortPressure } from "./support/port-pressure.js";
import type { PortScene } from "./support/port-scene.js";

async function scene<T>(name: string, ...args: string[]): Promise<T> {
  const file = fileURLToPath(new URL(`./support/${name}.ts`, import.meta.url));
  const output = await must("unshare", ["--net", process.execPath, "--import", "tsx", file, ...args], {
    timeoutMs: 300_000,
  });
  return JSON.parse(output) as T;
}

describe("packet ports", { timeout: 600_000 }, () => {
  for (const items of ["packets", "supers", "frames"] as const) {
    it(`carry all kinds of traffic as ${items}`, async () => {
      const { pings, tcp, udp, hashes, counters, largestItem, offloads, bridged } = await scene<PortScene>(
        "port-scene",
        items,
      );
      assert.deepEqual(pings, [0, 0, 0], "IPv4, IPv6, fragments");
      for (const bytes of tcp) assert.ok(bytes > 10 << 20, `${tcp}`);
      assert.ok(udp.packets > 300 && udp.lost < udp.packets / 10, JSON.stringify(udp));
      assert.equal(hashes[1], hashes[0]);
      const [near, far] = counters;
      for (const [from, to] of [
        [near, far],
        [far, near],
      ])
        assert.ok(from && to && from.txBytes > 24 << 20 && to.rxPackets > from.txPackets / 2);
      if (items === "frames") {
        assert.deepEqual(offloads, []);
        assert.equal(bridged, 0);
        assert.ok(largestItem <= 1414, `${largestItem}`);
      } else if (items === "packets") {
        assert.equal(largestItem, 1400);
      } else if (offloads.includes("tso")) {
        assert.ok(largestItem > 20_000, `${largestItem}`);
      }
      // Packets of the kernel's own before the other device was up are the only ones.
      for (const { drops } of counters)
        assert.ok(
          Object.keys(drops).every((reason) => reason === "tun-error") && (drops["tun-error"] ?? 0) < 20,
          JSON.stringify(drops),
        );
    });

    it(`withstand a hostile carrier of ${items}`, async () => {
      const attack = await scene<PortAttack>("port-attack", items);
      assert.equal(attack.alive, 0);
      assert.equal(attack.responds, true);
      assert.ok(attack.gone >= 1 && attack.gone < 5, `${attack.gone}`);
      const of = (reason: string) => attack.drops[reason] ?? 0;
      assert.equal(of("bad-batch-before"), 0);
      assert.ok(of("bad-batch") > 1000, JSON.stringify(attack));
      assert.ok(of("malformed-inner") > 0);
      if (items === "supers") assert.ok(of("bad-header") > 1000, JSON.stringify(attack));
      // The kernel refuses nothing that the port lets pass as a super-packet: it describes itself.
      assert.equal(of("tun-error"), 0, JSON.stringify(attack));
      if (items === "packets") assert.ok(attack.passed + of("malformed-inner") >= attack.items);
      assert.ok(attack.passed > 1000 && attack.kernel > 0, JSON.stringify(attack));
    });
  }

  it("wait for a carrier that takes nothing, and lose no order", async () => {
    const pressure = await scene<PortPressure>("port-pressure");
    assert.ok(pressure.heldBatches <= 4, `${pressure.heldBatches}`);
    assert.ok(pressure.received >= pressure.heldPackets && pressure.received < pressure.sent / 2);
    assert.equal(pressure.inOrder, true);
    assert.equal(pressure.lateReceived, pressure.late);
    // A copy of what was sent would be 38 MB.
    assert.ok(pressure.grownBytes < 16 << 20, `${pressure.grownBytes}`);
  });
});
