/** The certificate of a gateway that does TLS itself: files that others renew. */
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

  /** @returns whether there is another one since the last look @throws VpnError `failed` when it cannot be used; the old one stays */
  async look(): Promise<boolean> {
    const stamp = await stampOf(this.files);
    if (stamp === this.#stamp) return false;
    this.#stamp = stamp;
    this.pair = await readTlsPair(this.files);
    return true;
  }
}
