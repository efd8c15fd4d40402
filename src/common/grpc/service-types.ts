import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";

/** The method table of a generated service: local (camelCase) name to method. */
export type MethodTable = Record<string, Pick<DescMethod, "input" | "output" | "methodKind">>;

/** A generated service descriptor, such as `PeerService`; M is `(typeof PeerService)["method"]`. */
export type ServiceDesc<M extends MethodTable = MethodTable> = Omit<DescService, "method"> & {
  readonly method: M;
};

/** What a caller may pass as a message: a message, or its fields. */
export type Init<D extends DescMessage> = MessageInitShape<D>;
export type Shape<D extends DescMessage> = MessageShape<D>;
