/** One bound UDP socket. IPv4 and IPv6 have one each, so that every address is seen in its own form. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { formatEndpoint, type HostPort } from "../../common/endpoint.js";
import { listenError } from "./listen-error.js";

export interface Sender {
  /** Canonical; with a zone ("%eth0") if link-local, which no other host can use. */
  address: string;
  port: number;
}

export type SendResult = "sent" | "error" | "queue-full";

/** Asked of the kernel, which may grant less: room for heartbeats that come while maps go out. */
const receiveBufferBytes = 1 << 20;

/** Datagrams that the kernel does not take at once wait here; beyond this they are dropped, the next map is 5 s away. The
 *  largest map for the most nodes fits; its datagrams share one buffer. */
const maxQueueBytes = 64 << 20;

export class UdpPort {
  readonly #socket: Socket;
  /** Where it is bound: with the real port if port 0 was asked for. */
  readonly endpoint: string;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const { address, port } = socket.address();
    this.endpoint = formatEndpoint(address, port);
  }

  /** @throws VpnError naming `--listen` */
  static async bind(at: HostPort): Promise<UdpPort> {
    const socket = createSocket({
      type: at.family === 4 ? "udp4" : "udp6",
      ipv6Only: at.family === 6,
      recvBufferSize: receiveBufferBytes,
      // Only addresses are ever sent to.
      lookup: (address, _options, callback) => callback(null, address, at.family),
    });
    try {
      // Asked for before binding: with a look-up that answers at once the socket is bound before bind() returns.
      const listening = once(socket, "listening");
      socket.bind({ address: at.address, port: at.port, exclusive: true });
      await listening;
    } catch (error) {
      socket.close();
      throw listenError(error, "UDP", formatEndpoint(at.address, at.port), "--listen");
    }
    return new UdpPort(socket);
  }

  /** Datagrams wait in the kernel until this is called. */
  receive(onDatagram: (from: Sender, data: Uint8Array) => void, onError: (error: Error) => void): void {
    this.#socket.on("error", onError);
    this.#socket.on("message", (data, { address, port }) => onDatagram({ address, port }, data));
  }

  /** Sends the parts as one datagram. @param done called exactly once; never throws */
  send(to: Sender, parts: readonly Uint8Array[], done: (result: SendResult) => void): void {
    if (this.#socket.getSendQueueSize() > maxQueueBytes) done("queue-full");
    else this.#socket.send(parts, to.port, to.address, (error) => done(error ? "error" : "sent"));
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}
