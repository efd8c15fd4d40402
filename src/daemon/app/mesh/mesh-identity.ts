/** Who this node is to the others of its mesh, once for each accepted PSK. */
import type { EngineIdentity } from "../../core/engine.js";
import { signingKey } from "../../core/keys/ed25519.js";
import { buildNodeRecord, type RecordDraft } from "../../core/keys/node-record.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import { type NetworkKeys, networkKeys } from "../../core/keys/schedule.js";
import type { MeshEpoch } from "../../core/mesh/types.js";

export class MeshIdentity {
  readonly #badger: boolean;
  readonly #nodeSeed: Uint8Array;
  readonly #draft: RecordDraft;
  readonly #randomBytes: (size: number) => Uint8Array;
  /** By PSK: they take a while to derive. */
  readonly #keys = new Map<number, NetworkKeys>();

  /** @param draft what the node's records say */
  constructor(
    node: { badger: boolean; nodeSeed: Uint8Array },
    draft: RecordDraft,
    randomBytes: (size: number) => Uint8Array,
  ) {
    this.#badger = node.badger;
    this.#nodeSeed = node.nodeSeed;
    this.#draft = draft;
    this.#randomBytes = randomBytes;
  }

  /** What opens the records of others. */
  epochs(psks: readonly PskEpoch[]): MeshEpoch[] {
    return psks.map((psk) => ({ id: psk.id, keys: this.#keysOf(psk) }));
  }

  /** What the engine shows and accepts. */
  forEngine(psks: readonly PskEpoch[]): EngineIdentity {
    const node = signingKey(this.#nodeSeed);
    const epochs = psks.map((psk) => {
      const keys = this.#keysOf(psk);
      const record = buildNodeRecord(this.#draft, node, keys, this.#randomBytes(12));
      return { id: psk.id, ...keys.epoch, networkId: keys.networkId, record };
    });
    return { badger: this.#badger, nodeSeed: this.#nodeSeed, epochs };
  }

  #keysOf({ id, psk }: PskEpoch): NetworkKeys {
    const keys = this.#keys.get(id) ?? networkKeys(psk, this.#badger);
    this.#keys.set(id, keys);
    return keys;
  }
}
