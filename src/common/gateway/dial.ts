/** A client's WebSocket to a gateway: by way of a proxy if there is one, in TLS if the URL says so. */
import { existsSync, readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import { WebSocket } from "ws";
import { VpnError } from "../errors.js";
import { largestMessage } from "./hello.js";
import { hostPort } from "./url.js";

export interface DialOptions {
  url: string;
  /** "http://HOST:PORT"; absent: none. */
  proxy?: string;
  /** Makes the connection to the gateway, or to its proxy. */
  connect: (signal: AbortSignal) => Promise<Socket>;
  headers: Readonly<Record<string, string>>;
  subprotocols: string[];
  signal: AbortSignal;
}

const handshakeMs = 10_000;
const longestProxyAnswer = 16 << 10;
/** Where distributions keep what the machine's owner trusts. */
const trusted = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

/**
 * @param use called with the open WebSocket before anything of it is read
 * @throws VpnError `not-permitted` when the token is refused, `failed` otherwise; who is there and will say the same again
 * has a word in `fields.reason`
 */
export async function dialGateway<T>(
  options: DialOptions,
  use: (socket: WebSocket, cipher: string | undefined) => T,
): Promise<T> {
  const { url, proxy, connect: reach, signal } = options;
  const target = new URL(url);
  const raw = await reach(signal);
  try {
    if (proxy !== undefined) await within(raw, signal, throughProxy(raw, hostPort(target)));
    const secure =
      target.protocol === "wss:" ? await within(raw, signal, secured(raw, target.hostname)) : undefined;
    return await within(raw, signal, open(options, secure ?? raw, secure, use));
  } catch (error) {
    raw.destroy();
    throw VpnError.from(error, "failed");
  }
}

/** Rejects when the signal aborts, or time is up; whoever else waits for the socket then ends with it. */
function within<T>(socket: Socket, signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (error: unknown): void => {
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => end(signal.reason);
    const late = (): void =>
      end(
        new VpnError("failed", "the gateway does not answer", {
          hint: "is it a gateway that listens there?",
        }),
      );
    const timer = setTimeout(late, handshakeMs);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    });
  });
}

/** RFC 9110 section 9.3.6. */
function throughProxy(socket: Socket, target: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    const done = (error?: VpnError): void => {
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.pause();
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.on("error", (error) => done(VpnError.from(error, "failed")));
    socket.on("close", () => done(new VpnError("failed", "the proxy closed the connection")));
    socket.on("data", (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      const end = answer.indexOf("\r\n\r\n");
      if (end < 0) {
        if (answer.length > longestProxyAnswer)
          done(new VpnError("failed", "what listens at the proxy's address is none"));
        return;
      }
      const status =
        /^HTTP\/1\.[01] (\d{3})/.exec(answer.toString("latin1", 0, 20))?.[1] ?? "nothing sensible";
      // The gateway says nothing before it is asked, so there is nothing behind the proxy's answer.
      if (status.startsWith("2")) done();
      else done(new VpnError("failed", `the proxy refuses to connect to ${target}: it answers ${status}`));
    });
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  });
}

function secured(socket: Socket, hostname: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const host = hostname.replace(/^\[|\]$/g, "");
    const ca = trustedByMachine();
    const name = isIP(host) === 0 ? { servername: host } : { host };
    const stream = connect({ socket, ...name, ALPNProtocols: ["http/1.1"], ...(ca !== undefined && { ca }) });
    stream.once("error", (error) => reject(untrusted(host, error)));
    stream.once("secureConnect", () => {
      stream.removeAllListeners("error");
      resolve(stream);
    });
  });
}

/** Undefined: those that Node brings along. */
function trustedByMachine(): Buffer | undefined {
  const asked = process.env.SSL_CERT_FILE;
  const file = [...(asked === undefined ? [] : [asked]), ...trusted].find((path) => existsSync(path));
  return file === undefined ? undefined : readFileSync(file);
}

function open<T>(
  { url, headers, subprotocols }: DialOptions,
  stream: Duplex,
  secure: TLSSocket | undefined,
  use: (socket: WebSocket, cipher: string | undefined) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, subprotocols, {
      // The type is that of node:net; what is needed of it is a stream.
      createConnection: (() => stream) as never,
      headers: { ...headers },
      perMessageDeflate: false,
      maxPayload: largestMessage,
      followRedirects: false,
      // Masks keep intermediaries from being misled by what they can read (RFC 6455 section 10.3); they cannot read this.
      ...(secure !== undefined && { generateMask: (mask: Buffer) => void mask.fill(0) }),
    });
    socket.once("error", (error) => reject(notOpened(error)));
    socket.once("unexpected-response", (request, response) => {
      request.destroy();
      reject(refused(response));
    });
    socket.once("open", () => {
      socket.removeAllListeners("error");
      socket.removeAllListeners("unexpected-response");
      resolve(use(socket, secure?.getCipher().standardName));
    });
  });
}

function refused({ statusCode = 0 }: IncomingMessage): VpnError {
  switch (statusCode) {
    case 401:
    case 403:
      return new VpnError("not-permitted", "the gateway does not take the token", {
        hint: "ask who runs it for another; give it with --token-file FILE",
        fields: { reason: "wrong-token" },
      });
    case 404:
      return new VpnError("failed", "there is no gateway at this path of the server", {
        hint: "compare the URL with the gateway's --path",
        fields: { reason: "wrong-path" },
      });
    case 429:
      return new VpnError("failed", "the quota of the token's user is used up", {
        hint: "ask who runs the gateway; a quota of a day or a month begins anew by itself",
        fields: { reason: "quota" },
      });
    default:
      return new VpnError("failed", `the server is no gateway for vpnd: it answers ${statusCode}`);
  }
}

function notOpened(error: NodeJS.ErrnoException): VpnError {
  if (/subprotocol/.test(error.message)) {
    return new VpnError("failed", "the server takes WebSockets, but is no gateway for vpnd", {
      cause: error,
    });
  }
  return new VpnError("failed", `the gateway ended the handshake: ${error.message}`, { cause: error });
}

function untrusted(host: string, error: Error): VpnError {
  const code = "code" in error ? String(error.code) : "";
  if (/CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code)) {
    return new VpnError("failed", `the certificate of ${host} is not to be trusted: ${error.message}`, {
      hint: "is its authority among those of this machine? see: update-ca-certificates",
      fields: { reason: "certificate" },
      cause: error,
    });
  }
  return new VpnError("failed", `no TLS with ${host}: ${error.message}`, { cause: error });
}
