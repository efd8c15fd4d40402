import { create, type Message } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream, credentials, Metadata } from "@grpc/grpc-js";
import { VpnError } from "../errors.js";
import { serviceDefinition } from "./service-definition.js";
import type { Init, MethodTable, ServiceDesc, Shape } from "./service-types.js";
import { fromServiceError } from "./status.js";

export interface CallOptions {
  /** Milliseconds after which the call fails with "no-reply"; absent: waits for ever. */
  readonly timeoutMs?: number;
  /** Cancels the call, which then fails with "cancelled". */
  readonly signal?: AbortSignal;
}

/** A promise for a method that answers once, an async iterable for a stream. All failures are VpnErrors. */
export type TypedClient<M extends MethodTable> = {
  [K in keyof M]: M[K]["methodKind"] extends "unary"
    ? (request: Init<M[K]["input"]>, options?: CallOptions) => Promise<Shape<M[K]["output"]>>
    : (request: Init<M[K]["input"]>, options?: CallOptions) => AsyncIterable<Shape<M[K]["output"]>>;
};

/** The methods of a service that answer with a stream, by name. */
export type Streams<M extends MethodTable> = {
  [K in keyof M as M[K]["methodKind"] extends "unary" ? never : K]: true;
};

/** One connection, shared by the clients of all services. */
export class Connection {
  readonly #client: Client;

  /** @param target gRPC target such as "unix:/run/vpnd/vpnd.sock" */
  constructor(target: string) {
    this.#client = new Client(target, credentials.createInsecure(), {
      "grpc.max_receive_message_length": 16 * 1024 * 1024,
      // A Unix socket needs no name of a host; without it grpc-js derives one from the path.
      "grpc.default_authority": "localhost",
      // Never through a proxy named in the environment.
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
      // Flow control of one connection never holds up another.
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /** The typed client of one generated service. */
  service<M extends MethodTable>(desc: ServiceDesc<M>): TypedClient<M> {
    const definition = serviceDefinition(desc);
    const methods: Record<string, unknown> = {};
    for (const method of desc.methods) {
      const one = definition[method.localName];
      if (one === undefined) continue;
      methods[method.localName] =
        method.methodKind === "unary"
          ? (request: unknown, options?: CallOptions) =>
              this.#unary(one, create(method.input, request as never), options)
          : (request: unknown, options?: CallOptions) =>
              this.#stream(one, create(method.input, request as never), options);
    }
    // Built from the descriptor whose types M are.
    return methods as TypedClient<M>;
  }

  /** The same for a descriptor that the first call loads: reading one takes milliseconds, and most programs call few services. */
  lazyService<M extends MethodTable>(
    load: () => Promise<ServiceDesc<M>>,
    streams: Streams<M>,
  ): TypedClient<M> {
    type Methods = Record<string, (...args: unknown[]) => never>;
    let loaded: Promise<Methods> | undefined;
    const methods = (): Promise<Methods> => {
      loaded ??= load().then((desc) => this.service(desc) as Methods);
      return loaded;
    };
    const caller = (name: string): unknown =>
      name in streams
        ? async function* (...args: unknown[]): AsyncGenerator {
            yield* (await methods())[name]?.(...args) ?? [];
          }
        : async (...args: unknown[]): Promise<unknown> => (await methods())[name]?.(...args);
    return new Proxy({}, { get: (_, name) => caller(String(name)) }) as TypedClient<M>;
  }

  close(): void {
    this.#client.close();
  }

  #unary(method: Definition, request: Message, options: CallOptions = {}): Promise<Message> {
    return new Promise((resolve, reject) => {
      if (options.signal?.aborted) return reject(cancelled(options.signal));
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        deadlineOf(options),
        (error, answer) => {
          options.signal?.removeEventListener("abort", abort);
          if (error) reject(options.signal?.aborted ? cancelled(options.signal) : fromServiceError(error));
          else if (answer === undefined) reject(new VpnError("internal", "vpnd gave no answer"));
          else resolve(answer);
        },
      );
      const abort = (): void => call.cancel();
      options.signal?.addEventListener("abort", abort, { once: true });
    });
  }

  async *#stream(method: Definition, request: Message, options: CallOptions = {}): AsyncGenerator<Message> {
    if (options.signal?.aborted) throw cancelled(options.signal);
    const call: ClientReadableStream<Message> = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      deadlineOf(options),
    );
    const abort = (): void => call.cancel();
    options.signal?.addEventListener("abort", abort, { once: true });
    try {
      for await (const message of call) yield message as Message;
    } catch (thrown) {
      throw options.signal?.aborted ? cancelled(options.signal) : fromServiceError(thrown);
    } finally {
      options.signal?.removeEventListener("abort", abort);
      call.on("error", () => {}); // cancel() of a stream nobody reads any more ends in an error event
      call.cancel();
    }
  }
}

interface Definition {
  path: string;
  requestSerialize: (message: Message) => Buffer;
  responseDeserialize: (bytes: Buffer) => Message;
}

function deadlineOf(options: CallOptions): { deadline?: Date } {
  return options.timeoutMs === undefined ? {} : { deadline: new Date(Date.now() + options.timeoutMs) };
}

function cancelled(signal: AbortSignal): VpnError {
  return signal.reason instanceof VpnError ? signal.reason : new VpnError("cancelled", "cancelled");
}
