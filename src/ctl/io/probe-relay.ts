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

/**
 * Carries datagrams between a DTLS client on this host's loopback and the other side, and notes what comes back: a client
 * says only that it failed, not how far it came.
 */
export class ProbeRelay {
  readonly replies: Replies = { dtls: 0, serverHello: false, alert: undefined, refused: false };
  /** Called with each change of `replies`. */
  onReply: () => void = () => {};
  readonly #inside: Socket;
  readonly #outside: Socket;
  #client: number | undefined;

  private constructor(inside: Socket, outside: Socket) {
    this.#inside = inside;
    this.#outside = outside;
    inside.on("message", (datagram, from) => {
      this.#client = from.port;
      outside.send(datagram, () => {});
    });
    outside.on("message", (datagram) => {
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

  close(): void {
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
