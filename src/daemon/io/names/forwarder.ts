/** Asks other DNS servers what is not ours to know. */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import type { Socket } from "node:net";
import { isIPv6 } from "node:net";
import { formatEndpoint } from "../../../common/endpoint.js";
import { isAnswerTo } from "../../core/names/upstream.js";
import { dial } from "../tcp/sockets.js";
import { adopt, framed, type MakeSocket, noLookUp } from "./sockets.js";

/** For each server; three servers fit into the five seconds that resolvers wait. */
const serverMs = 1_500;
const mostServers = 3;
const mostAtOnce = 256;
const mostPerAsker = 32;
const dnsPort = 53;

export interface ForwarderParts {
  make: MakeSocket;
  closeFd: (fd: number) => void;
  /** Default: 53. */
  port?: number;
}

export class Forwarder {
  readonly #parts: ForwarderParts;
  readonly #byAsker = new Map<string, number>();
  readonly #running = new Set<AbortController>();
  #stopped = false;
  #atOnce = 0;

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
  }

  /**
   * Asks one server after the other until one answers.
   * @param message the question as it came; its id is given to nobody
   * @returns undefined: nobody answered, or too much is under way already
   */
  async ask(
    message: Buffer,
    servers: readonly string[],
    { asker, overTcp }: { asker: string; overTcp: boolean },
  ): Promise<Buffer | undefined> {
    const mine = this.#byAsker.get(asker) ?? 0;
    if (this.#atOnce >= mostAtOnce || mine >= mostPerAsker) return undefined;
    this.#atOnce += 1;
    this.#byAsker.set(asker, mine + 1);
    try {
      for (const server of servers.slice(0, mostServers)) {
        const answer = await this.#askOne(message, server, overTcp);
        if (answer !== undefined || this.#stopped) return answer;
      }
      return undefined;
    } finally {
      this.#atOnce -= 1;
      const left = (this.#byAsker.get(asker) ?? 1) - 1;
      if (left === 0) this.#byAsker.delete(asker);
      else this.#byAsker.set(asker, left);
    }
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stopped = true;
    for (const one of this.#running) one.abort();
  }

  async #askOne(message: Buffer, server: string, overTcp: boolean): Promise<Buffer | undefined> {
    const question = Buffer.from(message);
    const id = randomInt(0x10000);
    question.writeUInt16BE(id, 0);
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), serverMs);
    this.#running.add(limit);
    try {
      const answer = overTcp
        ? await this.#overTcp(question, server, limit.signal)
        : await this.#overUdp(question, server, limit.signal);
      answer.writeUInt16BE(message.readUInt16BE(0), 0);
      return answer;
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
      this.#running.delete(limit);
    }
  }

  /** Each question has a port of its own, which the kernel chooses at random. */
  async #overUdp(question: Buffer, server: string, limit: AbortSignal): Promise<Buffer> {
    const family = isIPv6(server) ? 6 : 4;
    const { fd } = this.#parts.make({ family, kind: "udp", port: 0 });
    const socket = createSocket({ type: family === 4 ? "udp4" : "udp6", lookup: noLookUp(family) });
    try {
      await adopt(socket, fd, this.#parts.closeFd);
      return await new Promise<Buffer>((resolve, reject) => {
        limit.addEventListener("abort", () => reject(limit.reason), { once: true });
        limit.throwIfAborted();
        socket.on("error", reject);
        // Connected: the kernel drops what comes from elsewhere, and tells of refusals.
        socket.connect(this.#parts.port ?? dnsPort, server, () => {
          socket.send(question, (error) => error && reject(error));
        });
        socket.on("message", (answer) => {
          if (isAnswerTo(question, answer)) resolve(answer);
        });
      });
    } finally {
      socket.close();
    }
  }

  async #overTcp(question: Buffer, server: string, limit: AbortSignal): Promise<Buffer> {
    const endpoint = formatEndpoint(server, this.#parts.port ?? dnsPort);
    const socket = await dial(this.#parts.make, endpoint, limit);
    const destroy = (): void => void socket.destroy();
    limit.addEventListener("abort", destroy, { once: true });
    try {
      socket.write(framed(question));
      return await readFramed(socket, question);
    } finally {
      limit.removeEventListener("abort", destroy);
      socket.destroy();
    }
  }
}

async function readFramed(socket: Socket, question: Buffer): Promise<Buffer> {
  let buffered = Buffer.alloc(0);
  for await (const chunk of socket) {
    buffered = Buffer.concat([buffered, chunk as Buffer]);
    if (buffered.length < 2) continue;
    const end = 2 + buffered.readUInt16BE(0);
    if (buffered.length < end) continue;
    const answer = Buffer.from(buffered.subarray(2, end));
    if (isAnswerTo(question, answer)) return answer;
    break;
  }
  throw new Error("no answer");
}
