import type { Logger } from "pino";
import { VpnError } from "../../common/errors.js";
import { fingerprint } from "../../common/psk.js";
import { type PskEpoch, type PskMoment, PskRing, type StoredPsks } from "../core/keys/psk-ring.js";
import type { NetworkSecrets, StoredNetwork } from "../io/state/store.js";

export interface PskKeeperParts {
  save: (secrets: NetworkSecrets) => Promise<void>;
  /** Accepted PSKs changed, the preferred one first. */
  onChange: (psks: readonly PskEpoch[]) => void;
  clock: () => PskMoment;
  log: Logger;
}

type KeeperState = Pick<StoredNetwork, "config" | "secrets">;

/** Kept in the same file. */
type OtherSecrets = Pick<NetworkSecrets, "nodeSeed" | "password">;

function othersOf({ secrets: { nodeSeed, password } }: KeeperState): OtherSecrets {
  return { nodeSeed, ...(password !== undefined && { password }) };
}

function storedPsks({ config, secrets }: KeeperState): StoredPsks {
  const { psk, pskSince: since = config.joined, formerPsks: former = [] } = secrets;
  return { psk, since, former };
}

/** Looks this often while a grace period runs: timers stand still while the machine sleeps. */
const lookMs = 30_000;
/** The clock was put right by more than this: what is on disk has to follow. */
const driftMs = 60_000;

/** A network's PSKs: on disk first, then in use; gives up former ones when their time is over. */
export class PskKeeper {
  readonly #parts: PskKeeperParts;
  #others: OtherSecrets;
  #ring: PskRing;
  /** What the file says, to notice when the clock is put right. */
  #writtenUntil: number;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(stored: KeeperState, parts: PskKeeperParts) {
    this.#parts = parts;
    this.#others = othersOf(stored);
    this.#writtenUntil = stored.secrets.formerPsks?.[0]?.until ?? 0;
    this.#ring = PskRing.load(storedPsks(stored), parts.clock());
    this.#look();
  }

  /** Takes over what was written by somebody else. */
  reload(stored: KeeperState): void {
    this.#others = othersOf(stored);
    this.#writtenUntil = stored.secrets.formerPsks?.[0]?.until ?? 0;
    this.#use(PskRing.load(storedPsks(stored), this.#parts.clock()));
  }

  get secrets(): NetworkSecrets {
    return this.#secretsOf(this.#ring, this.#parts.clock());
  }

  get fingerprint(): string {
    return fingerprint(this.#ring.preferred.psk);
  }

  /** The preferred one first. */
  epochs(): PskEpoch[] {
    return this.#ring.epochs(this.#parts.clock());
  }

  /** What `set` would do. @throws as `set` */
  plan(psk: Uint8Array, graceMs: number): { changes: boolean; epochs: PskEpoch[] } {
    const at = this.#parts.clock();
    const next = this.#ring.prefer(psk, graceMs, at);
    const before = JSON.stringify(this.#ring.stored(at));
    return { changes: JSON.stringify(next.stored(at)) !== before, epochs: next.epochs(at) };
  }

  /** Prefers a PSK; the ones before it stay accepted for a while. @throws VpnError `failed`; then nothing has changed */
  async set(psk: Uint8Array, graceMs: number): Promise<void> {
    const at = this.#parts.clock();
    const next = this.#ring.prefer(psk, graceMs, at);
    try {
      await this.#write(next, at);
    } catch (error) {
      throw new VpnError("failed", `cannot keep the new PSK: ${VpnError.from(error).message}`, {
        hint: "nothing has changed; see to the state directory and try again",
        cause: error,
      });
    }
    this.#use(next);
    const { log } = this.#parts;
    const epochs = next.epochs(at).map((epoch) => fingerprint(epoch.psk));
    log.info({ fingerprint: epochs[0], also: epochs.slice(1), graceSeconds: graceMs / 1000 }, "PSK set");
  }

  /** No timers any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #use(ring: PskRing): void {
    this.#ring = ring;
    this.#parts.onChange(this.epochs());
    this.#look();
  }

  /** Gives up what is over, keeps the file true, and comes again. */
  #look(): void {
    clearTimeout(this.#timer);
    const at = this.#parts.clock();
    const end = this.#ring.nextEnd;
    if (this.#stopped || end === undefined) return;
    const wait = Math.min(Math.max(end - at.now, 0), lookMs);
    this.#timer = setTimeout(() => this.#tick(), wait);
    this.#timer.unref();
  }

  #tick(): void {
    const at = this.#parts.clock();
    const next = this.#ring.expire(at);
    const drift = Math.abs((next.stored(at).former[0]?.until ?? this.#writtenUntil) - this.#writtenUntil);
    if (next !== this.#ring || drift > driftMs) {
      this.#write(next, at).catch((error: unknown) => {
        this.#parts.log.error({ err: error }, "cannot keep which PSKs are accepted");
      });
    }
    if (next === this.#ring) {
      this.#look();
      return;
    }
    const gone = this.#ring.epochs(at).filter((one) => !next.epochs(at).some(({ id }) => id === one.id));
    for (const { psk } of gone) {
      this.#parts.log.info({ fingerprint: fingerprint(psk) }, "PSK is accepted no more");
    }
    this.#use(next);
  }

  async #write(ring: PskRing, at: PskMoment): Promise<void> {
    await this.#parts.save(this.#secretsOf(ring, at));
    this.#writtenUntil = ring.stored(at).former[0]?.until ?? 0;
  }

  #secretsOf(ring: PskRing, at: PskMoment): NetworkSecrets {
    const { psk, since, former } = ring.stored(at);
    return { ...this.#others, psk, pskSince: since, ...(former.length > 0 && { formerPsks: former }) };
  }
}
