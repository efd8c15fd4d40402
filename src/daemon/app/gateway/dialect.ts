/** How a gateway talks with a client: in our own protocol, or in that of fanqiang-poc. */
import { randomInt } from "node:crypto";
import { type GatewayCodec, type GatewayItems, ownCodec } from "../../../common/gateway/codec.js";
import { encodeFanqiangHello, fanqiangCodec } from "../../../common/gateway/fanqiang.js";
import { encodeGatewayHello, type GatewayHello } from "../../../common/gateway/hello.js";
import { paddedCodec, padMessage } from "../../../common/gateway/padded-codec.js";

export interface Dialect {
  /** What the client's device hands over, so that it can be sent. */
  items: GatewayItems;
  /** For one connection. */
  codec: GatewayCodec;
  /** The hello goes out so much later, milliseconds. */
  helloAfterMs: number;
  /** A whole message. */
  hello: (hello: GatewayHello) => Buffer;
}

/** @param foreign the client speaks the other protocol @param padding sizes are hidden */
export function dialectOf(foreign: boolean, padding: boolean): Dialect {
  if (foreign) {
    return {
      items: "packets",
      codec: fanqiangCodec({ end: "gateway", padding }),
      helloAfterMs: randomInt(100, 1001),
      hello: ({ addresses }) => encodeFanqiangHello(addresses, padding),
    };
  }
  // A super-packet has a size of its own; packets fill messages up.
  const items = padding ? "packets" : "supers";
  const codec = padding ? paddedCodec : ownCodec;
  const hello = (text: GatewayHello): Buffer => {
    const message = encodeGatewayHello(text);
    return padding ? padMessage(message) : message;
  };
  return { items, codec, helloAfterMs: 0, hello };
}
