import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import type { ServiceDesc } from "./service-types.js";

type AnyMethod = MethodDefinition<Message, Message>;

/** The grpc-js definition of a generated service; keys are the generated camelCase method names. */
export function serviceDefinition(desc: ServiceDesc): ServiceDefinition & Record<string, AnyMethod> {
  const definition: Record<string, AnyMethod> = {};
  for (const method of desc.methods) {
    definition[method.localName] = {
      path: `/${desc.typeName}/${method.name}`,
      originalName: method.localName,
      requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
      responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      requestSerialize: serializer(method.input),
      requestDeserialize: parser(method.input),
      responseSerialize: serializer(method.output),
      responseDeserialize: parser(method.output),
    };
  }
  return definition;
}

function serializer(desc: DescMessage): (message: Message) => Buffer {
  return (message) => {
    const bytes = toBinary(desc, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function parser(desc: DescMessage): (bytes: Buffer) => Message {
  return (bytes) => fromBinary(desc, bytes);
}
