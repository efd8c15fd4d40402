import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { isIPv6 } from "node:net";
import { VpnError } from "../../common/errors.js";

/** What came back from the other side. */
export interface Replies {
  /** DTLS records of any kind. */
  dtls: number;
  /** The server took part in a handshake: beyond its cookie. */
  serverHello: boolean;
  /** Number of its last plain alert. */
  alert: number | undefined;
  /** ICMP said that nobody listens there. */
  refused: boolean;
}

const recordHeader = 13;
const handshakeType = 22;
const alertType = 21;
const serverHelloType = 2;
/** The client never repeats a flight that was lost. */
const repeatMs = 500;
const mostRepeated = 16;
/** Plain fatal alert, handshake_failure; its sequence number, 100, is new and yet within the client's window. */
const fatalAlert = Buffer.from([alertType, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 100, 0, 2, 2, 40]);

/**
 * Carries datagrams between a DTLS client on this host's loopback and the other side. It notes what comes back, since the client
 * says only that it failed, not how far it came; and it repeats what gets no answer.
 */
export class ProbeRelay {
  readonly replies: Replies = { dtls: 0, serverHello: false, alert: undefined, refused: false };
  /** Called with each change of `replies`. */
  onReply: () => void = () => {};
  readonly #inside: Socket;
  readonly #outside: Socket;
  #client: number | undefined;
  /** What the client sent since something came back. */
  #unanswered: Buffer[] = [];
  #closed = false;
  readonly #repeating: NodeJS.Timeout;

  private constructor(inside: Socket, outside: Socket) {
    this.#inside = inside;
    this.#outside = outside;
    inside.on("message", (datagram, from) => {
      this.#client = from.port;
      if (this.#unanswered.length < mostRepeated) this.#unanswered.push(datagram);
      outside.send(datagram, () => {});
    });
    this.#repeating = setInterval(() => {
      for (const datagram of this.#unanswered) outside.send(datagram, () => {});
    }, repeatMs);
    outside.on("message", (datagram) => {
      this.#unanswered = [];
      this.#note(datagram);
      if (this.#client !== undefined) inside.send(datagram, this.#client, "127.0.0.1", () => {});
    });
    outside.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNREFUSED") return;
      this.replies.refused = true;
      this.onReply();
    });
    inside.on("error", () => {});
  }

  /** @throws VpnError `no-reply` for a name without an address */
  static async open(host: string, port: number): Promise<ProbeRelay> {
    const address = await addressOf(host);
    const inside = await bound("udp4", "127.0.0.1");
    const outside = createSocket(isIPv6(address) ? "udp6" : "udp4");
    try {
      await new Promise<void>((resolve, reject) => {
        outside.once("error", reject);
        outside.connect(port, address, () => {
          outside.off("error", reject);
          resolve();
        });
      });
    } catch (error) {
      inside.close();
      outside.close();
      throw new VpnError("no-reply", `cannot reach ${host}: ${VpnError.from(error).message}`, {
        hint: "check the address, and the routes of this host: ip route get ADDRESS",
        cause: error,
      });
    }
    return new ProbeRelay(inside, outside);
  }

  /** Where the DTLS client has to send to. */
  get port(): number {
    return this.#inside.address().port;
  }

  /** Makes the client give up at once: left alone it keeps its timers for as long as it was told to wait. */
  endClient(): void {
    this.#unanswered = [];
    if (this.#client !== undefined) this.#inside.send(fatalAlert, this.#client, "127.0.0.1", () => {});
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#repeating);
    this.#inside.close();
    this.#outside.close();
  }

  #note(datagram: Buffer): void {
    const type = datagram[0] ?? 0;
    if (datagram.length < recordHeader || type < 20 || type > 25 || datagram[1] !== 0xfe) return;
    this.replies.dtls += 1;
    const plain = datagram.readUInt16BE(3) === 0;
    if (plain && type === handshakeType && datagram[recordHeader] === serverHelloType)
      this.replies.serverHello = true;
    if (plain && type === alertType) this.replies.alert = datagram[recordHeader + 1];
    this.onReply();
  }
}

async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new VpnError("no-reply", `${host} has no address`, {
      hint: "check the name, or write the address: vpnctl probe ADDRESS:PORT",
      cause: error,
    });
  }
}

function bound(type: "udp4", address: string): Promise<Socket> {
  const socket = createSocket(type);
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, address, () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}
