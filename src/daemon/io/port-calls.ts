/** Calls between threads of this process by way of a message port, both ways. What goes through is what structured cloning takes. */
import { type ErrorCode, VpnError } from "../../common/errors.js";

/** A `MessagePort` or a `Worker`. */
export interface CallPort {
  postMessage(message: unknown): void;
  on(event: "message", listener: (message: unknown) => void): unknown;
}

type Method = (...args: never[]) => unknown;
/** Names of the methods of an interface. */
type Names<T> = { [K in keyof T]: T[K] extends Method ? K : never }[keyof T] & string;
type Args<M> = M extends (...args: infer A) => unknown ? A : never;
type Answer<M> = M extends (...args: never[]) => infer R ? Awaited<R> : never;

type Message =
  | { call: number; method: string; args: unknown[] }
  | { answer: number; value: unknown }
  | { answer: number; fault: { code: ErrorCode; message: string; hint?: string | undefined } };

/** `Theirs` is what the other end has, whose methods can be called here; `ours` is called by it. Messages keep their order. */
export class PortCalls<Theirs> {
  readonly #port: CallPort;
  readonly #ours: object;
  readonly #open = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #last = 0;
  #over: Error | undefined;

  constructor(port: CallPort, ours: object) {
    this.#port = port;
    this.#ours = ours;
    port.on("message", (message) => this.#take(message as Message));
  }

  /** Rejects with the other end's VpnError, or with that of `end`. */
  call<K extends Names<Theirs>>(method: K, ...args: Args<Theirs[K]>): Promise<Answer<Theirs[K]>> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    this.#last += 1;
    const call = this.#last;
    return new Promise((resolve, reject) => {
      this.#open.set(call, { resolve, reject });
      this.#port.postMessage({ call, method, args } satisfies Message);
    });
  }

  /** For something that is not answered: call 0. */
  tell<K extends Names<Theirs>>(method: K, ...args: Args<Theirs[K]>): void {
    if (this.#over === undefined) this.#port.postMessage({ call: 0, method, args } satisfies Message);
  }

  /** There is no other end any more. */
  end(error: Error): void {
    this.#over = error;
    for (const { reject } of this.#open.values()) reject(error);
    this.#open.clear();
  }

  #take(message: Message): void {
    if ("call" in message) {
      void this.#serve(message);
      return;
    }
    const { answer } = message;
    const open = this.#open.get(answer);
    this.#open.delete(answer);
    if ("fault" in message) {
      const { code, message: text, hint } = message.fault;
      open?.reject(new VpnError(code, text, hint === undefined ? {} : { hint }));
    } else open?.resolve(message.value as never);
  }

  async #serve({ call, method, args }: { call: number; method: string; args: unknown[] }): Promise<void> {
    const ours = this.#ours as Readonly<Record<string, Method | undefined>>;
    let message: Message;
    try {
      message = { answer: call, value: await ours[method]?.(...(args as never[])) };
    } catch (thrown) {
      // What nobody waits for is the thread's own fault.
      if (call === 0) throw thrown;
      const { code, message: text, hint } = VpnError.from(thrown);
      message = { answer: call, fault: { code, message: text, hint } };
    }
    if (call !== 0 && this.#over === undefined) this.#port.postMessage(message);
  }
}
