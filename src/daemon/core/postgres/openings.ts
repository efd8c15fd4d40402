/** Whether the packets of a session can be read here, and with which key. */
import { payloadKeys } from "../../../common/postgres/seal.js";
import type { Reason } from "../carrier.js";

export type Opening =
  | { kind: "clear" }
  | { kind: "key"; key: Uint8Array }
  /** Nothing of it is delivered. */
  | { kind: "refused"; reason: Reason };

/** What a session's key was made with, and is known by; null: its packets are not encrypted. */
export interface SessionMark {
  salt: Uint8Array | null;
  check: Uint8Array | null;
}

const clear: Opening = { kind: "clear" };
const refused = (code: string, message: string): Opening => ({ kind: "refused", reason: { code, message } });

/** The PSKs that this node accepts, as keys for the sessions of others. */
export class Openings {
  readonly #network: string;
  readonly #psks: readonly Uint8Array[];

  /** @param network its name in the database @param psks none: packets are not encrypted */
  constructor(network: string, psks: readonly Uint8Array[]) {
    this.#network = network;
    this.#psks = psks;
  }

  of({ salt, check }: SessionMark): Opening {
    if (salt === null || check === null) {
      if (this.#psks.length === 0) return clear;
      return refused("not-encrypted", "its packets are not encrypted: join there with --psk-file");
    }
    if (this.#psks.length === 0) {
      return refused("encrypted", "its packets are encrypted: join here with --psk-file");
    }
    for (const psk of this.#psks) {
      const keys = payloadKeys(psk, this.#network, salt);
      if (Buffer.compare(keys.check, check) === 0) return { kind: "key", key: keys.key };
    }
    return refused("wrong-psk", "its packets are encrypted with another PSK");
  }
}
