/** The certificate of a gateway that does TLS itself: files that others renew. */
import type { Logger } from "pino";
import { readTlsPair, stampOf, type TlsFiles, type TlsPair } from "../../io/gateway/tls-files.js";

export class Certificate {
  readonly files: TlsFiles;
  /** The one in force. */
  pair: TlsPair;
  #stamp: string;

  /** @throws VpnError `failed` when the files cannot be used */
  static async load(files: TlsFiles): Promise<Certificate> {
    const stamp = await stampOf(files);
    return new Certificate(files, await readTlsPair(files), stamp);
  }

  private constructor(files: TlsFiles, pair: TlsPair, stamp: string) {
    this.files = files;
    this.pair = pair;
    this.#stamp = stamp;
  }

  /** Has a renewed one taken over; what cannot be used leaves the old one in force. */
  async renew(takeOver: (pair: TlsPair) => Promise<void>, log: Logger): Promise<void> {
    try {
      const stamp = await stampOf(this.files);
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      this.pair = await readTlsPair(this.files);
      await takeOver(this.pair);
      log.info({ cert: this.files.cert }, "the gateway has another certificate");
    } catch (error) {
      log.error({ err: error }, "the gateway goes on with the certificate that it had");
    }
  }
}
