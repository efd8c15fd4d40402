import { create } from "@bufbuild/protobuf";
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { VpnError } from "../errors.js";
import type { Init, MethodTable, ServiceDesc, Shape } from "./service-types.js";
import { toStatus } from "./status.js";

/** What a method knows of its call. */
export interface CallContext {
  /** Aborts when the caller goes away, cancels, or its deadline passes. */
  readonly signal: AbortSignal;
  /** When the caller gives up; undefined when it waits for ever. */
  readonly deadline: Date | undefined;
  /** What gRPC knows of where the call comes from: the connection's `remoteAddress`, else "unknown". */
  readonly peer: string;
}

/** One function for each method: a promise for a single answer, an async generator for a stream. */
export type ServiceImpl<M extends MethodTable> = {
  [K in keyof M]: M[K]["methodKind"] extends "unary"
    ? (request: Shape<M[K]["input"]>, context: CallContext) => Promise<Init<M[K]["output"]>>
    : (request: Shape<M[K]["input"]>, context: CallContext) => AsyncIterable<Init<M[K]["output"]>>;
};

export interface HandlerOptions {
  /** Sees each error that is not a VpnError of the method's own; for the log. */
  readonly onUnexpected?: (method: string, error: unknown) => void;
}

/**
 * Handlers for `server.addService(serviceDefinition(desc), handlers(desc, impl))`.
 * Thrown VpnErrors reach the client whole; anything else as "internal", without its message.
 */
export function handlers<M extends MethodTable>(
  desc: ServiceDesc<M>,
  impl: ServiceImpl<NoInfer<M>>,
  options: HandlerOptions = {},
): UntypedServiceImplementation {
  const result: UntypedServiceImplementation = {};
  for (const method of desc.methods) {
    const name = method.localName;
    const report = (thrown: unknown): VpnError => {
      if (thrown instanceof VpnError) return thrown;
      options.onUnexpected?.(name, thrown);
      return new VpnError("internal", "vpnd ran into a fault of its own", {
        hint: "look at its log: journalctl -u vpnd -n 50",
      });
    };
    // The generated table is heterogeneous: its types are restored by ServiceImpl on the caller's side.
    const body = (impl as Record<string, unknown>)[name] as (
      request: unknown,
      context: CallContext,
    ) => unknown;
    if (method.methodKind === "unary") {
      const handle: handleUnaryCall<unknown, unknown> = (call, callback) => {
        const { context, end } = contextOf(call);
        Promise.resolve()
          .then(() => body.call(impl, call.request, context))
          .then((answer) => create(method.output, answer as never))
          .then(
            (answer) => callback(null, answer),
            (thrown: unknown) => callback(toStatus(report(thrown))),
          )
          .finally(end);
      };
      result[name] = handle;
    } else if (method.methodKind === "server_streaming") {
      const handle: handleServerStreamingCall<unknown, unknown> = (call) => {
        const { context, end } = contextOf(call);
        const messages = (): AsyncIterable<unknown> =>
          body.call(impl, call.request, context) as AsyncIterable<unknown>;
        pump(call, messages, (value) => create(method.output, value as never), context.signal)
          .then(
            () => call.end(),
            (thrown: unknown) => call.emit("error", toStatus(report(thrown))),
          )
          .finally(end);
      };
      result[name] = handle;
    } else {
      throw new Error(`${desc.typeName}.${method.name}: client streams are not supported`);
    }
  }
  return result;
}

async function pump(
  call: ServerWritableStream<unknown, unknown>,
  messages: () => AsyncIterable<unknown>,
  convert: (value: unknown) => unknown,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages()) {
    if (signal.aborted) return;
    if (!call.write(convert(message))) await drained(call, signal);
    if (signal.aborted) return;
  }
}

/** A reader that does not read stops the generator instead of filling memory. */
function drained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    call.once("drain", done);
    signal.addEventListener("abort", done, { once: true });
  });
}

interface Call {
  on(event: "cancelled", listener: () => void): unknown;
  getDeadline(): Date | number;
  getPeer(): string;
}

function contextOf(call: Call): { context: CallContext; end: () => void } {
  const abort = new AbortController();
  let ended = false;
  call.on("cancelled", () => {
    if (!ended) abort.abort(new VpnError("cancelled", "the caller went away"));
  });
  const deadline = call.getDeadline();
  const when = typeof deadline === "number" ? deadline : deadline.getTime();
  return {
    context: {
      signal: abort.signal,
      deadline: Number.isFinite(when) ? new Date(when) : undefined,
      peer: call.getPeer(),
    },
    end: () => {
      ended = true;
    },
  };
}
