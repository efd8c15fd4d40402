/** Every key of a network, derived from its PSK (docs/wire.md, "Keys from the PSK"). */
import { derivePskKey } from "../../../common/psk.js";
import type { EngineEpoch } from "../engine.js";
import { signingKey } from "./ed25519.js";

export interface NetworkKeys {
  /** Ed25519 public key, 32 bytes: what the network is called on the wire. */
  networkId: Uint8Array;
  /** Seals node records. */
  recordsKey: Uint8Array;
  /** What the engine needs for handshakes. */
  epoch: Pick<EngineEpoch, "dtlsPsk" | "identityKey" | "probePsk">;
}

/** @param psk bytes as `parsePsk` gave them */
export function networkKeys(psk: Uint8Array, badger: boolean): NetworkKeys {
  return {
    networkId: signingKey(derivePskKey(psk, "network id")).publicKey,
    recordsKey: derivePskKey(psk, "records"),
    epoch: {
      dtlsPsk: badger ? psk.slice() : derivePskKey(psk, "dtls psk"),
      identityKey: derivePskKey(psk, "psk identity"),
      probePsk: new TextEncoder().encode(Buffer.from(derivePskKey(psk, "probe")).toString("hex")),
    },
  };
}
