/**
 * Services on a host, and who reaches them. One program on each host listens on ports and asks those of others for the test: a start
 * for each question would take longer than all the answers.
 */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type Host, repository } from "./lab.js";
import { ping } from "./traffic.js";

const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
const script = fileURLToPath(import.meta.url);

/** `refused`: somebody said that nobody listens there. */
export type Outcome = "answer" | "silence" | "refused";

/** "tcp/80", "udp/53", "icmp"; "udp/53 4000" and "icmp 4000" with so many bytes. */
export type Question = string;

interface Ask {
  how: "tcp" | "udp";
  address: string;
  port: number;
  bytes: number;
  patienceMs: number;
}

export class Talker {
  readonly #host: Host;
  readonly #socket: string;

  private constructor(host: Host, socket: string) {
    this.#host = host;
    this.#socket = socket;
  }

  /** Opens these ports, TCP and UDP, of all addresses: what comes is said back. */
  static async start(host: Host, ports: readonly number[]): Promise<Talker> {
    const socket = join(host.folder, "talker.sock");
    const args = ["--import", loader, script, socket, ...ports.map(String)];
    const program = host.spawn("talker", process.execPath, args);
    await program.until(() => /^ready$/m.test(program.log), 20_000, "the talker listens");
    return new Talker(host, socket);
  }

  async ask(address: string, question: Question, patienceMs: number): Promise<Outcome> {
    const [, how, port = "0", bytes] = /^(tcp|udp|icmp)(?:\/(\d+))?(?: (\d+))?$/.exec(question) ?? [];
    if (how === "icmp") {
      const size = Number(bytes ?? 56);
      const { received } = await ping(this.#host, address, {
        count: 1,
        waitSeconds: patienceMs / 1000,
        size,
      });
      return received > 0 ? "answer" : "silence";
    }
    if (how !== "tcp" && how !== "udp") throw new Error(`no question: ${question}`);
    const ask: Ask = { how, address, port: Number(port), bytes: Number(bytes ?? 4), patienceMs };
    const connection = connect(this.#socket);
    connection.end(JSON.stringify(ask));
    const said = await text(connection);
    if (said === "answer" || said === "silence" || said === "refused") return said;
    throw new Error(`${this.#host.name} asks ${question} of ${address}: ${said}`);
  }
}

function serve(path: string, ports: readonly number[]): void {
  for (const port of ports) {
    createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(port, "::");
    const udp = createSocket("udp6");
    udp.on("message", (data, peer) => udp.send(data, peer.port, peer.address));
    udp.bind(port);
  }
  const control = createServer({ allowHalfOpen: true }, (socket) => {
    let line = "";
    socket.on("data", (data) => {
      line += data;
    });
    socket.on("end", async () => socket.end(await answer(JSON.parse(line) as Ask)));
  });
  control.listen(path, () => process.stdout.write("ready\n"));
}

function answer(ask: Ask): Promise<string> {
  return new Promise((resolve) => {
    const end = ask.how === "tcp" ? askTcp(ask, done) : askUdp(ask, done);
    const timer = setTimeout(done, ask.patienceMs, "silence");
    function done(what: string): void {
      clearTimeout(timer);
      resolve(what);
      end();
    }
  });
}

const outcomeOf = (error: NodeJS.ErrnoException): string =>
  error.code === "ECONNREFUSED" ? "refused" : error.message;

function askTcp({ address, port }: Ask, done: (what: string) => void): () => void {
  const socket = connect(port, address, () => socket.write("x"));
  socket.on("data", () => done("answer"));
  socket.on("error", (error) => done(outcomeOf(error)));
  return () => socket.destroy();
}

function askUdp({ address, port, bytes }: Ask, done: (what: string) => void): () => void {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const data = Buffer.alloc(bytes, 7);
  const send = (): void => socket.send(data);
  let again: NodeJS.Timeout | undefined;
  socket.on("message", (said) => {
    if (said.equals(data)) done("answer");
  });
  socket.on("error", (error) => done(outcomeOf(error)));
  socket.connect(port, address, () => {
    send();
    again = setInterval(send, 200);
  });
  return () => {
    clearInterval(again);
    socket.close();
  };
}

if (process.argv[1] === script) {
  const [path = "", ...ports] = process.argv.slice(2);
  serve(path, ports.map(Number));
}
