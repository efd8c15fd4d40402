/** Bytes for the API socket: HTTP/2 frames and gRPC messages, sound, altered and made up. */
import { randomBytes, randomInt } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { services } from "../../src/daemon/app/api/services.js";
import { methodKind } from "../../src/daemon/core/access/methods.js";

const type = { data: 0, headers: 1, priority: 2, settings: 4, ping: 6, windowUpdate: 8 } as const;
const flag = { endStream: 1, ack: 1, endHeaders: 4 } as const;

export function frame(kind: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(kind, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** How a connection begins that never has to wait for the other side's window. */
export function beginning(): Buffer {
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const setting = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]);
  const window = Buffer.from([0x7f, 0, 0, 0]);
  return Buffer.concat([
    preface,
    frame(type.settings, 0, 0, setting),
    frame(type.windowUpdate, 0, 0, window),
  ]);
}

/** HPACK: literals without indexing. */
function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) =>
      Buffer.concat([
        Buffer.from([0, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value),
      ]),
    ),
  );
}

function call(stream: number, path: string, body: Uint8Array): Buffer {
  const headers = headerBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
  ]);
  return Buffer.concat([
    frame(type.headers, flag.endHeaders, stream, headers),
    frame(type.data, flag.endStream, stream, body),
  ]);
}

interface Sample {
  path: string;
  message: Uint8Array;
  looksOnly: boolean;
}

/** A request of each method that answers once. */
const samples: Sample[] = services.flatMap((desc) =>
  desc.methods
    .filter((method) => method.methodKind === "unary")
    .map((method) => {
      const filled: Record<string, unknown> = {};
      for (const field of method.input.fields) {
        if (field.fieldKind === "scalar" && field.scalar === 9) filled[field.localName] = "nowhere";
      }
      return {
        path: `/${desc.typeName}/${method.name}`,
        message: toBinary(method.input, create(method.input, filled)),
        looksOnly: methodKind(desc.typeName, method.name) === "look",
      };
    }),
);

function altered(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes.length === 0 ? randomBytes(randomInt(1, 40)) : bytes);
  for (let i = randomInt(1, 6); i > 0; i--) copy[randomInt(copy.length)] = randomInt(256);
  return copy.subarray(0, randomInt(4) === 0 ? randomInt(copy.length + 1) : copy.length);
}

/** One call with an altered message that gets an answer. What changes things gets what is no message whatever follows. */
export function alteredCall(stream: number): Buffer {
  const sample = samples[randomInt(samples.length)];
  if (sample === undefined) throw new Error("the API has no methods");
  const unreadable = Buffer.from([7]);
  const message = sample.looksOnly
    ? altered(sample.message)
    : Buffer.concat([unreadable, altered(sample.message)]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return call(stream, sample.path, Buffer.concat([prefix, message]));
}

/** A frame that a receiver has to live with: of an unknown kind, a PRIORITY, or a PING. */
export function oddFrame(): Buffer {
  switch (randomInt(12)) {
    case 0:
      return frame(type.ping, 0, 0, randomBytes(8));
    case 1: {
      const weight = randomBytes(5);
      weight.writeUInt32BE(0, 0);
      return frame(type.priority, 0, 2 * randomInt(1000) + 1, weight);
    }
    default:
      return frame(randomInt(0x20, 0x100), randomInt(256), randomInt(1000), randomBytes(randomInt(120)));
  }
}

/** A frame that may be the end of the connection: altered, cut short, or nothing but random bytes. */
export function badFrame(): Buffer {
  switch (randomInt(4)) {
    case 0:
      return randomBytes(randomInt(1, 300));
    case 1:
      return frame(randomInt(10), randomInt(256), randomInt(20), randomBytes(randomInt(60)));
    case 2: {
      const setting = frame(type.settings, 0, 0, Buffer.from([0, randomInt(1, 7), ...randomBytes(4)]));
      return altered(randomInt(2) === 0 ? setting : frame(type.windowUpdate, 0, 0, randomBytes(4)));
    }
    default:
      return altered(oddFrame());
  }
}
