/** TLS 1.3 with a PSK and a fresh key agreement for each connection, over a socket that exists. */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { connect, createSecureContext, TLSSocket, type TLSSocketOptions, type TlsOptions } from "node:tls";
import { VpnError } from "../../../common/errors.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import { identityNonceBytes, linkIdentity, linkKey, pskOfIdentity } from "../../core/tcp/tls-keys.js";
import { errorCode } from "../atomic-file.js";

/** The PSK decides the hash: SHA-256. */
const cipherSuite = "TLS_AES_128_GCM_SHA256";
const tls13 = { ciphers: cipherSuite, minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const;
const handshakeMs = 10_000;

/** A finished handshake. */
export interface Secured {
  stream: TLSSocket;
  cipher: string;
  epoch: PskEpoch;
  /** Keying material that only these two ends of this connection have. */
  binding: Uint8Array;
}

/**
 * @param psks accepted ones, the preferred one first
 * @throws VpnError `not-permitted` for another PSK, `failed` otherwise; the socket is closed then
 */
export async function secureClient(socket: Socket, psks: readonly PskEpoch[]): Promise<Secured> {
  const epoch = psks[0];
  if (epoch === undefined) throw new VpnError("internal", "a link without a PSK");
  const identity = linkIdentity(epoch.psk, randomBytes(identityNonceBytes));
  const stream = connect({
    ...tls13,
    socket,
    pskCallback: () => ({ psk: linkKey(epoch.psk), identity }),
    // There are no certificates: who has the key is who we mean.
    checkServerIdentity: () => undefined,
  });
  await finished(stream, "secureConnect", () => false);
  return { stream, cipher: stream.getCipher().standardName, epoch, binding: bindingOf(stream) };
}

/** The same for who was connected to. */
export async function secureServer(socket: Socket, psks: readonly PskEpoch[]): Promise<Secured> {
  let epoch: PskEpoch | undefined;
  let stranger = false;
  // Taken by Node for both roles, but missing in the types of this one.
  const options: TLSSocketOptions & Pick<TlsOptions, "pskCallback"> = {
    isServer: true,
    secureContext: createSecureContext(tls13),
    pskCallback: (_: TLSSocket, identity: string) => {
      epoch = pskOfIdentity(identity, psks);
      stranger = epoch === undefined;
      return epoch === undefined ? null : linkKey(epoch.psk);
    },
  };
  const stream = new TLSSocket(socket, options);
  await finished(stream, "secure", () => stranger);
  if (epoch === undefined) {
    stream.destroy();
    throw otherPsk();
  }
  return { stream, cipher: stream.getCipher().standardName, epoch, binding: bindingOf(stream) };
}

const bindingOf = (stream: TLSSocket): Uint8Array =>
  stream.exportKeyingMaterial(32, "EXPORTER-vpnd-link", Buffer.alloc(0));

function finished(
  stream: TLSSocket,
  event: "secure" | "secureConnect",
  stranger: () => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      stream.removeAllListeners();
      // Errors after this one are of no interest, and must not end the process.
      stream.on("error", () => {});
      stream.destroy();
      reject(stranger() ? otherPsk() : explained(error));
    };
    const timer = setTimeout(() => fail(new Error("no answer to the TLS handshake")), handshakeMs);
    stream.once("error", fail);
    stream.once("close", () => fail(new Error("the other end closed the connection in the TLS handshake")));
    stream.once(event, () => {
      clearTimeout(timer);
      stream.removeAllListeners("close");
      stream.removeAllListeners("error");
      resolve();
    });
  });
}

const otherPsk = (): VpnError =>
  new VpnError("not-permitted", "the other end has another PSK", {
    hint: "compare the fingerprints at both ends: vpnctl psk status",
  });

/** A server that does not know the PSK has nothing else to offer, and says so by this alert (RFC 8446 section 6.2). */
function explained(error: unknown): VpnError {
  const code = errorCode(error) ?? "";
  if (
    /HANDSHAKE_FAILURE|DECRYPT_ERROR|UNKNOWN_PSK_IDENTITY|BINDER|DECRYPTION_FAILED|BAD_RECORD_MAC/.test(code)
  ) {
    return otherPsk();
  }
  if (/WRONG_VERSION|UNEXPECTED_MESSAGE|PACKET_LENGTH|INVALID_RECORD/.test(code)) {
    return new VpnError("failed", "the other end does not speak TLS", {
      hint: "give --tls-psk-file at both ends, or at neither",
    });
  }
  return VpnError.from(error, "failed");
}
