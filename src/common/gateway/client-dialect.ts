/** What a client of a gateway speaks. */
import { type GatewayCodec, ownCodec } from "./codec.js";
import { fanqiangCodec, parseFanqiangHello } from "./fanqiang.js";
import { type GatewayHello, gatewayProtocol, parseGatewayHello } from "./hello.js";
import { paddedCodec } from "./padded-codec.js";

export interface ClientDialect {
  /** Of WebSocket; none in the protocol of fanqiang-poc. */
  subprotocols: string[];
  /** For one connection. */
  codec: GatewayCodec;
  /** @param control as the codec handed it on @returns undefined when it is no hello */
  parseHello: (control: Uint8Array) => GatewayHello | undefined;
}

export interface ClientDialectOptions {
  /** The gateway is fanqiang-poc, or serves its clients. */
  fanqiang?: boolean;
  /** Sizes of messages to the gateway are hidden. */
  padding?: boolean;
}

export function clientDialect({ fanqiang = false, padding = false }: ClientDialectOptions): ClientDialect {
  if (fanqiang) {
    const codec = fanqiangCodec({ end: "client", padding });
    return { subprotocols: [], codec, parseHello: parseFanqiangHello };
  }
  const codec = padding ? paddedCodec : ownCodec;
  return { subprotocols: [gatewayProtocol], codec, parseHello: parseGatewayHello };
}
