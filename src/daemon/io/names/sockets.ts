/** Port 53 of an address, UDP and TCP. What is done with questions is the caller's. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { canonicalAddress } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import { longestQuery } from "../../core/names/query.js";
import { errorCode } from "../atomic-file.js";

/** As `makeSocket` of native.ts. */
export type MakeSocket = (options: {
  family: 4 | 6;
  kind: "udp" | "tcp";
  port: number;
  address?: string;
}) => {
  fd: number;
  port: number;
};

export interface Question {
  message: Buffer;
  /** Canonical address of the asker. */
  source: string;
  overTcp: boolean;
}

/** The answer, or undefined for none; never rejects. */
export type Answerer = (question: Question) => Promise<Buffer | undefined> | Buffer | undefined;

const dnsPort = 53;
const mostConnections = 64;
const mostPerSource = 8;
const idleMs = 10_000;

export interface NameSocketsParts {
  make: MakeSocket;
  closeFd: (fd: number) => void;
  address: string;
  family: 4 | 6;
  /** Default: 53. */
  port?: number;
  /** Whether to talk TCP with this asker at all. */
  accepts: (source: string) => boolean;
  answer: Answerer;
}

/** Open sockets; `close` is idempotent and resolves when the port is free. */
export class NameSockets {
  readonly port: number;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #parts: NameSocketsParts;
  readonly #connections = new Map<Socket, string>();
  #closed = false;

  private constructor(parts: NameSocketsParts, udp: UdpSocket, tcp: Server, port: number) {
    this.#parts = parts;
    this.#udp = udp;
    this.#tcp = tcp;
    this.port = port;
    udp.on("message", (message, from) => void this.#datagram(message, from));
    // Of an answer that could not be sent; the next one may.
    udp.on("error", () => {});
    tcp.on("connection", (socket) => this.#connection(socket));
    tcp.on("error", () => {});
  }

  /** @throws VpnError `conflict` when the port is taken, `not-permitted`, `failed`; then nothing is open */
  static async open(parts: NameSocketsParts): Promise<NameSockets> {
    const { make, address, family } = parts;
    let udp: UdpSocket | undefined;
    try {
      const bound = make({ family, kind: "udp", port: parts.port ?? dnsPort, address });
      udp = createSocket({ type: family === 4 ? "udp4" : "udp6", lookup: noLookUp(family) });
      await adopt(udp, bound.fd, parts.closeFd);
      const { fd } = make({ family, kind: "tcp", port: bound.port, address });
      const tcp = createServer();
      tcp.listen({ fd });
      await once(tcp, "listening");
      return new NameSockets(parts, udp, tcp, bound.port);
    } catch (error) {
      udp?.close();
      throw openError(address, error);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of this.#connections.keys()) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(() => resolve())),
      new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
    ]);
  }

  async #datagram(message: Buffer, from: RemoteInfo): Promise<void> {
    const source = canonicalAddress(from.address);
    if (source === undefined) return;
    const answer = await this.#parts.answer({ message, source, overTcp: false });
    if (answer === undefined || this.#closed) return;
    this.#udp.send(answer, from.port, from.address, () => {});
  }

  #connection(socket: Socket): void {
    const source = canonicalAddress(socket.remoteAddress ?? "");
    const ofSource = [...this.#connections.values()].filter((one) => one === source).length;
    const room = this.#connections.size < mostConnections && ofSource < mostPerSource;
    if (source === undefined || !room || !this.#parts.accepts(source)) {
      socket.destroy();
      return;
    }
    this.#connections.set(socket, source);
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(idleMs, () => socket.destroy());
    void this.#serve(socket, source).catch(() => socket.destroy());
  }

  /** One question after the other (RFC 7766), each with its length before it. */
  async #serve(socket: Socket, source: string): Promise<void> {
    let buffered = Buffer.alloc(0);
    for await (const chunk of socket) {
      buffered = Buffer.concat([buffered, chunk as Buffer]);
      while (buffered.length >= 2) {
        const length = buffered.readUInt16BE(0);
        if (length > longestQuery) return;
        if (buffered.length < 2 + length) break;
        const message = buffered.subarray(2, 2 + length);
        buffered = buffered.subarray(2 + length);
        const answer = await this.#parts.answer({ message, source, overTcp: true });
        // What is not answered is not worth a connection.
        if (answer === undefined || answer.length > 0xffff) return;
        if (!socket.write(framed(answer))) await once(socket, "drain");
      }
    }
  }
}

/** A DNS message as TCP carries it. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}

/** Gives a bound descriptor to a socket; whatever happens, it is not the caller's any more. */
export async function adopt(socket: UdpSocket, fd: number, closeFd: (fd: number) => void): Promise<void> {
  try {
    const listening = once(socket, "listening");
    socket.bind({ fd });
    await listening;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** Only addresses are ever sent to. */
export const noLookUp =
  (family: 4 | 6) =>
  (
    address: string,
    _options: unknown,
    callback: (error: null, address: string, family: number) => void,
  ): void =>
    callback(null, address, family);

function openError(address: string, error: unknown): VpnError {
  if (error instanceof VpnError) return error;
  const where = `port 53 of ${address}`;
  switch (errorCode(error)) {
    case "EADDRINUSE":
      return new VpnError("conflict", `${where} is in use`, {
        hint: "see by whom: ss -lnptu 'sport = :53'; another DNS server must not listen on all addresses",
        cause: error,
      });
    case "EACCES":
    case "EPERM":
      return new VpnError("not-permitted", `vpnd may not use ${where}`, {
        hint: "run it as root, or with CAP_NET_BIND_SERVICE too",
        cause: error,
      });
    default:
      return new VpnError("failed", `cannot listen on ${where}: ${VpnError.from(error).message}`, {
        cause: error,
      });
  }
}
