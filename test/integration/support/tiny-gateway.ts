/** A gateway without devices, for vpnctl's own ping: it answers echo requests itself, or does not. */
import { once } from "node:events";
import { createServer } from "node:http";
import { type WebSocket, WebSocketServer } from "ws";
import { ownCodec } from "../../../src/common/gateway/codec.js";
import { encodeFanqiangHello, fanqiangCodec } from "../../../src/common/gateway/fanqiang.js";
import { encodeGatewayHello, gatewayProtocol } from "../../../src/common/gateway/hello.js";

export interface TinyGateway {
  readonly port: number;
  /** Authorization headers of those who came. */
  readonly tokens: string[];
  close(): void;
}

/** `deaf`: no request is answered; `rude`: it hangs up at the first one; `full`: nobody is let in; `strict`: no token is good. */
export type Manners = "good" | "deaf" | "rude" | "full" | "strict";

const addresses = ["10.91.0.2/30", "fd76:706e:6477::1/127"];

export async function tinyGateway(manners: Manners = "good"): Promise<TinyGateway> {
  const http = createServer();
  const tokens: string[] = [];
  const sockets = new WebSocketServer({
    server: http,
    verifyClient: (_, answer) => answer(manners !== "strict", 401),
    handleProtocols: (asked) => (asked.has(gatewayProtocol) ? gatewayProtocol : false),
  });
  sockets.on("connection", (socket, request) => {
    tokens.push(request.headers.authorization ?? "");
    if (manners === "full") socket.close(1013, "no room for another client");
    else serve(socket, manners);
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const address = http.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const close = (): void => {
    for (const socket of sockets.clients) socket.terminate();
    http.close();
  };
  return { port: address.port, tokens, close };
}

function serve(socket: WebSocket, manners: Manners): void {
  const own = socket.protocol === gatewayProtocol;
  const codec = own ? ownCodec : fanqiangCodec({ end: "gateway", padding: false });
  const hello = { gateways: [], mtu: 1500, dns: [], routes: [], resume: "", keepAliveSeconds: 20 };
  if (!own) socket.send(Buffer.of(0));
  socket.send(own ? encodeGatewayHello({ addresses, ...hello }) : encodeFanqiangHello(addresses, false));
  socket.on("message", (message) => {
    if (!(message instanceof Buffer)) return;
    codec.decode(message, {
      onControl: () => {},
      onItems: (_, data) => {
        if (manners === "rude") socket.close(1008, "disconnected by the gateway's operator");
        if (manners !== "good") return;
        const reply = answered(Buffer.from(data));
        // As a device hands it over: behind its vnet header.
        const item = own ? Buffer.concat([Buffer.alloc(10), reply]) : reply;
        for (const one of codec.encode(own ? "supers" : "packets", item, [item.length])) socket.send(one);
      },
    });
  });
}

/** What the host at the other end makes of an echo request. */
function answered(request: Buffer): Buffer {
  const reply = Buffer.from(request);
  const four = (request[0] ?? 0) >> 4 === 4;
  const [at, size] = four ? [12, 4] : [8, 16];
  request.copy(reply, at, at + size, at + 2 * size);
  request.copy(reply, at + size, at, at + size);
  reply[four ? 20 : 40] = four ? 0 : 129;
  return reply;
}
