/** A tunnel to a gateway without a device: packets in, packets out. */
import { connect, type Socket } from "node:net";
import type { WebSocket } from "ws";
import { VpnError } from "../../common/errors.js";
import { clientDialect } from "../../common/gateway/client-dialect.js";
import type { GatewayItems } from "../../common/gateway/codec.js";
import { dialGateway } from "../../common/gateway/dial.js";
import { type GatewayHello, gatewayHeaders } from "../../common/gateway/hello.js";
import { hostPort } from "../../common/gateway/url.js";

export interface TunnelOptions {
  url: string;
  /** "http://HOST:PORT"; absent: none. */
  proxy?: string;
  /** Empty: none. */
  token: string;
  fanqiang: boolean;
  signal: AbortSignal;
}

export interface Tunnel {
  readonly hello: GatewayHello;
  /** Called with each packet that comes. */
  onPacket: (packet: Buffer) => void;
  /** Aborts with a VpnError when the connection is over. */
  readonly over: AbortSignal;
  send(packet: Buffer): void;
  close(): void;
}

const helloMs = 10_000;
const connectMs = 10_000;
/** Bytes before a super-packet. */
const vnetHeader = 10;

/** @throws VpnError `not-permitted` for a wrong token, `no-reply` when nobody answers, `failed` or `cancelled` */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  const { url, proxy, token, fanqiang, signal } = options;
  const { subprotocols, codec, parseHello } = clientDialect({ fanqiang });
  const over = new AbortController();
  const headers = {
    ...(token !== "" && { authorization: `Bearer ${token}` }),
    ...(!fanqiang && { [gatewayHeaders.name]: "vpnctl-ping", [gatewayHeaders.keep]: "no" }),
  };
  const first = new URL(proxy ?? url);
  const dial = { url, ...(proxy !== undefined && { proxy }), headers, subprotocols, signal };
  const { socket, welcome } = await dialGateway(
    { ...dial, connect: () => reach(first, signal) },
    (socket) => {
      const end = (error: VpnError): void => over.abort(error);
      socket.on("error", (error) => end(VpnError.from(error, "failed")));
      socket.on("close", (code, text) => end(closed(code, text.toString("utf8"))));
      const welcome = new Promise<Tunnel>((resolve, reject) => {
        over.signal.addEventListener("abort", () => reject(over.signal.reason), { once: true });
        let tunnel: Tunnel | undefined;
        const onControl = (control: Uint8Array): void => {
          const hello = parseHello(control);
          if (hello === undefined || tunnel !== undefined) return;
          tunnel = {
            hello,
            onPacket: () => {},
            over: over.signal,
            send: (packet) => {
              for (const message of codec.encode("packets", packet, [packet.length]))
                socket.send(message, () => {});
            },
            close: () => hangUp(socket),
          };
          resolve(tunnel);
        };
        const onItems = (items: GatewayItems, data: Uint8Array, ends: Uint32Array): void => {
          const skipped = items === "supers" ? vnetHeader : 0;
          let from = 0;
          for (const end of ends) {
            tunnel?.onPacket(Buffer.from(data.subarray(from + skipped, end)));
            from = end;
          }
        };
        socket.on("message", (message, isBinary) => {
          const known =
            isBinary && message instanceof Buffer && codec.decode(message, { onItems, onControl });
          if (!known)
            end(
              new VpnError(
                "failed",
                "the server is no gateway for vpnd: it says what is none of the protocol",
              ),
            );
        });
      });
      return { socket, welcome };
    },
  );
  const late = setTimeout(
    () => over.abort(new VpnError("no-reply", "the gateway opened the connection and said nothing")),
    helloMs,
  );
  const cancel = (): void => over.abort(signal.reason);
  signal.addEventListener("abort", cancel, { once: true });
  try {
    return await welcome;
  } catch (error) {
    hangUp(socket);
    throw error;
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", cancel);
  }
}

/** Nobody is waited for. */
function hangUp(socket: WebSocket): void {
  socket.close();
  const grace = setTimeout(() => socket.terminate(), 500);
  socket.once("close", () => clearTimeout(grace));
}

function reach(url: URL, signal: AbortSignal): Promise<Socket> {
  const where = hostPort(url);
  const at = where.lastIndexOf(":");
  return new Promise((resolve, reject) => {
    const host = where.slice(0, at).replace(/^\[|\]$/g, "");
    const socket = connect({ host, port: Number(where.slice(at + 1)), noDelay: true });
    const fail = (why: string): void => {
      done();
      socket.on("error", () => {});
      socket.destroy();
      const error = new VpnError("no-reply", `cannot connect to ${where}: ${why}`, {
        hint: "is the gateway there, and does a firewall let you through?",
      });
      reject(error);
    };
    const onAbort = (): void => fail("given up");
    const timer = setTimeout(() => fail("no answer"), connectMs);
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.once("connect", () => {
      done();
      resolve(socket);
    });
  });
}

function closed(code: number, text: string): VpnError {
  if (code === 1013)
    return new VpnError("failed", "the gateway has no room now", { hint: "try again later" });
  const said = text.replace(/[^\x20-\x7e]/g, "").slice(0, 100);
  return new VpnError("failed", `the gateway closed the connection${said === "" ? "" : `: ${said}`}`);
}
