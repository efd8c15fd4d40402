/**
 * On a gateway's host: URL ADDRESS. Clients connect, one of vpnd's worker threads breaks down, by way of Node's inspector, which SIGUSR1
 * opened, and those who lost their connection come back. Prints what came of it.
 */
import { WebSocket } from "ws";
import { waitFor } from "./command.js";
import { type GatewayClient, welcome } from "./gateway-client.js";

export interface GatewayCrashReport {
  /** How many clients there were, and how many of them were cut off. */
  clients: number;
  lost: number;
  /** Of those that were not, how many were answered afterwards. */
  answered: number;
  /** Came back with the addresses that they had, and were answered. */
  same: number;
}

const deadlineMs = 60_000;
/** With so few, all are on one of two workers once in thirty thousand times. */
const count = 16;
const inspector = "http://127.0.0.1:9229/json";

/** Node's inspector, as far as it is needed: commands go out, and what comes is looked through. */
class Inspector {
  readonly #socket: WebSocket;
  readonly #said: { method?: string; params?: Record<string, unknown> }[] = [];
  #id = 0;

  private constructor(url: string) {
    this.#socket = new WebSocket(url);
    this.#socket.on("message", (data) => this.#said.push(JSON.parse(String(data))));
  }

  static async open(): Promise<Inspector> {
    const [main] = await waitFor(
      async () => {
        const answer = await fetch(inspector).catch(() => undefined);
        return (await answer?.json()) as { webSocketDebuggerUrl: string }[] | undefined;
      },
      deadlineMs,
      "the inspector answers",
    );
    if (main === undefined) throw new Error("nothing to inspect");
    const opened = new Inspector(main.webSocketDebuggerUrl);
    await waitFor(() => opened.#socket.readyState === WebSocket.OPEN, deadlineMs, "the inspector is open");
    return opened;
  }

  send(method: string, params: object): void {
    this.#id += 1;
    this.#socket.send(JSON.stringify({ id: this.#id, method, params }));
  }

  /** Of the first worker. */
  async session(): Promise<unknown> {
    this.send("NodeWorker.enable", { waitForDebuggerOnStart: false });
    const event = await waitFor(
      () => this.#said.find(({ method }) => method === "NodeWorker.attachedToWorker"),
      deadlineMs,
      "a worker is seen",
    );
    return event.params?.sessionId;
  }

  close(): void {
    this.#socket.close();
  }
}

/** What nobody catches ends the thread that it happens in. */
async function breakOne(): Promise<void> {
  const inspected = await Inspector.open();
  const sessionId = await inspected.session();
  const expression = 'setTimeout(() => { throw new Error("broken down on purpose") })';
  const message = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } });
  inspected.send("NodeWorker.sendMessageToWorker", { sessionId, message });
  await waitFor(() => clients.some(({ code }) => code !== undefined), deadlineMs, "somebody is cut off");
  inspected.close();
}

/** @returns those that were; the others are cut off, not all of them in the same moment */
async function answered(all: readonly GatewayClient[], to: string): Promise<GatewayClient[]> {
  const settled = ({ answered, code }: GatewayClient): boolean => answered > 0 || code !== undefined;
  await waitFor(
    () => {
      const open = all.filter((client) => !settled(client));
      for (const client of open) client.ping(to);
      return open.length === 0;
    },
    deadlineMs,
    "all are answered or cut off",
  );
  return all.filter(({ answered }) => answered > 0);
}

const [url = "", to = ""] = process.argv.slice(2);
const clients = await Promise.all(Array.from({ length: count }, () => welcome(url)));
await breakOne();
const stayed = await answered(clients, to);
const lost = clients.filter((client) => !stayed.includes(client));
const back = await Promise.all(lost.map((client) => welcome(url, client.hello?.resume)));
const served = await answered(back, to);
const report: GatewayCrashReport = {
  clients: clients.filter(({ hello }) => hello !== undefined).length,
  lost: lost.length,
  answered: stayed.filter(({ code }) => code === undefined).length,
  same: back.filter((client, index) => served.includes(client) && client.address === lost[index]?.address)
    .length,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
