/**
 * Addresses under other addresses: who shares a network, shares one of the same length afterwards, and nobody learns which one
 * it was without the key. It is the scheme of Crypto-PAn: each bit is flipped or not by a keyed function of the bits before it.
 */
import { createCipheriv } from "node:crypto";

const blockBytes = 16;
/** Addresses that are remembered; then it begins anew. */
const mostKnown = 65_536;

export class Pseudonyms {
  readonly #key: Uint8Array;
  readonly #pads: ReadonlyMap<number, Uint8Array>;
  readonly #known = new Map<string, Uint8Array>();

  /** @param key 32 random bytes: the same ones give the same addresses */
  constructor(key: Uint8Array) {
    this.#key = key.subarray(0, blockBytes);
    const pad = (bytes: number): Uint8Array => {
      const block = Buffer.from(key.subarray(blockBytes, 2 * blockBytes));
      block[0] = (block[0] ?? 0) ^ bytes;
      return this.#encrypt(block);
    };
    this.#pads = new Map([4, 16].map((bytes) => [bytes, pad(bytes)]));
  }

  /** @param address 4 or 16 bytes */
  of(address: Uint8Array): Uint8Array {
    const name = Buffer.from(address).toString("latin1");
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (this.#known.size >= mostKnown) this.#known.clear();
    const made = this.#make(address);
    this.#known.set(name, made);
    return made;
  }

  #make(address: Uint8Array): Uint8Array {
    const pad = this.#pads.get(address.length);
    if (pad === undefined) return address;
    const bits = address.length * 8;
    const blocks = Buffer.alloc(bits * blockBytes);
    for (let bit = 0; bit < bits; bit++) {
      const at = bit * blockBytes;
      blocks.set(pad, at);
      // The bits before this one are the address's, the others the pad's.
      blocks.set(address.subarray(0, bit >> 3), at);
      const kept = 0xff & (0xff00 >> (bit & 7));
      const mixed = ((address[bit >> 3] ?? 0) & kept) | ((pad[bit >> 3] ?? 0) & ~kept & 0xff);
      blocks.writeUInt8(mixed, at + (bit >> 3));
    }
    const flips = this.#encrypt(blocks);
    const made = Uint8Array.from(address);
    for (let bit = 0; bit < bits; bit++) {
      const flip = ((flips[bit * blockBytes] ?? 0) >> 7) << (7 - (bit & 7));
      made[bit >> 3] = (made[bit >> 3] ?? 0) ^ flip;
    }
    return made;
  }

  #encrypt(blocks: Uint8Array): Uint8Array {
    const cipher = createCipheriv("aes-128-ecb", this.#key, null).setAutoPadding(false);
    return Buffer.concat([cipher.update(blocks), cipher.final()]);
  }
}
