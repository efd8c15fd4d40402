/** A client of a gateway without vpnd and without a device: it says what it was told, and pings. */
import { WebSocket } from "ws";
import { ownCodec } from "../../src/common/gateway/codec.js";
import {
  type GatewayHello,
  gatewayHeaders,
  gatewayProtocol,
  parseGatewayHello,
} from "../../src/common/gateway/hello.js";
import { echoed, echoRequest } from "../interop/ip-packet.js";
import { waitFor } from "./command.js";

const deadlineMs = 60_000;

export class GatewayClient {
  hello: GatewayHello | undefined;
  answered = 0;
  code: number | undefined;
  readonly #socket: WebSocket;
  #sequence = 0;

  constructor(url: string, resume = "") {
    this.#socket = new WebSocket(url, [gatewayProtocol], {
      headers: resume === "" ? {} : { [gatewayHeaders.resume]: resume },
      perMessageDeflate: false,
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", (code) => {
      this.code = code;
    });
    this.#socket.on("message", (message) => {
      if (!(message instanceof Buffer)) return;
      ownCodec.decode(message, {
        onItems: (items, data, ends) => {
          let from = 0;
          for (const end of ends) {
            const item = Buffer.from(data.subarray(items === "supers" ? from + 10 : from, end));
            if (echoed(item) !== undefined) this.answered += 1;
            from = end;
          }
        },
        onControl: (control) => {
          this.hello = parseGatewayHello(control) ?? this.hello;
        },
      });
    });
  }

  get address(): string {
    return this.hello?.addresses[0] ?? "";
  }

  ready(): Promise<unknown> {
    return waitFor(
      () => this.hello !== undefined || this.code !== undefined,
      deadlineMs,
      "a client is welcome",
    );
  }

  ping(to: string): void {
    this.#sequence += 1;
    const packet = echoRequest(this.address.replace(/\/.*/, ""), to, this.#sequence, Buffer.alloc(56));
    for (const message of ownCodec.encode("packets", packet, [packet.length])) this.send(message);
  }

  send(message: Buffer | string): void {
    this.#socket.send(message, () => {});
  }

  async leave(): Promise<void> {
    this.#socket.close();
    await waitFor(() => this.code !== undefined, deadlineMs, "a client has left");
  }
}

/** @returns one that has its hello, or was turned away */
export async function welcome(url: string, resume = ""): Promise<GatewayClient> {
  const client = new GatewayClient(url, resume);
  await client.ready();
  return client;
}
