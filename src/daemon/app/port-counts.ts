import type { CarrierView } from "../core/carrier.js";
import type { CarrierDrop } from "../core/carrier-drops.js";
import type { EngineCounters } from "../core/engine.js";
import type { PacketBatch } from "../core/packet-port.js";
import type { Traffic } from "../core/tcp/link-peer.js";

/** What a carrier counts beside what its packet port does. */
export class PortCounts {
  readonly #drops = new Map<CarrierDrop, number>();
  readonly #handshakes: Record<string, number> = {};
  /** Of the device, but nobody was there to get it. */
  readonly #unsent = { packets: 0, bytes: 0 };

  drop(reason: CarrierDrop, count = 1): void {
    if (count > 0) this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + count);
  }

  handshake(result: string): void {
    this.#handshakes[result] = (this.#handshakes[result] ?? 0) + 1;
  }

  unsent(batch: PacketBatch): void {
    this.#unsent.packets += batch.ends.length;
    this.#unsent.bytes += batch.data.length;
    this.drop("not-connected", batch.ends.length);
  }

  /**
   * @param port counters of the packet port; undefined: there is none yet
   * @param leftOut items of the living connection that had no place in its framing
   */
  view(
    port: EngineCounters | undefined,
    leftOut: number,
  ): Pick<CarrierView, "counters" | "handshakes"> & { traffic: Traffic } {
    const counters = port ?? { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} };
    const drops: Record<string, number> = { ...counters.drops };
    for (const [reason, count] of this.#drops) drops[reason] = count;
    if (leftOut > 0) drops["too-big-for-frame"] = (drops["too-big-for-frame"] ?? 0) + leftOut;
    const traffic = {
      rxBytes: counters.rxBytes,
      rxPackets: counters.rxPackets,
      txBytes: Math.max(0, counters.txBytes - this.#unsent.bytes),
      txPackets: Math.max(0, counters.txPackets - this.#unsent.packets),
    };
    return { counters: { ...counters, drops }, handshakes: { ...this.#handshakes }, traffic };
  }
}
