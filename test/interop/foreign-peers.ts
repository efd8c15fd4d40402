/** DTLS programs that know nothing of vpnd, one connection each: what is written to them goes out as records. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, waitFor } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";

export const foreignSuite = "PSK-AES128-GCM-SHA256";

const gnutlsPriority = ["--priority", "NONE:+VERS-DTLS1.2:+PSK:+AES-128-GCM:+AEAD:+SIGN-ALL:+COMP-NULL"];

export interface Credentials {
  identity: string;
  /** Text; its bytes are the PSK. */
  psk: string;
}

/** A missing program is a failure, never a reason to pass. */
export async function requirePrograms(...programs: readonly string[]): Promise<void> {
  for (const program of programs) {
    if ((await run("sh", ["-c", 'command -v "$1"', "sh", program])).code !== 0)
      throw new Error(`${program} is not installed\nrun scripts/setup.sh`);
  }
}

export class ForeignPeer {
  constructor(
    readonly program: Running,
    private readonly endsWithInput = false,
  ) {}

  send(packet: Buffer): void {
    this.program.stdin.write(packet);
  }

  /** Waits until the bytes came out of the tunnel. */
  async receive(bytes: Buffer, what: string): Promise<void> {
    await this.program.until(() => readFileSync(this.program.logFile).includes(bytes), 10_000, what);
  }

  /** The end of its input: s_client says close_notify then, the servers have to be told to end. */
  async close(): Promise<void> {
    this.program.stdin.end();
    if (!this.endsWithInput) this.program.kill("SIGTERM");
    await waitFor(() => this.program.code !== undefined, 10_000, `${this.program.name} ends`);
  }
}

const hex = (text: string) => Buffer.from(text).toString("hex");

export function opensslClient(host: Host, to: string, { identity, psk }: Credentials): ForeignPeer {
  const args = ["s_client", "-dtls1_2", "-connect", to, "-quiet", "-no_ign_eof"];
  const key = ["-cipher", foreignSuite, "-psk", hex(psk), "-psk_identity", identity];
  return new ForeignPeer(host.spawn("s_client", "openssl", [...args, ...key], { stdin: true }), true);
}

export function gnutlsClient(
  host: Host,
  to: { address: string; port: number },
  { identity, psk }: Credentials,
): ForeignPeer {
  const args = ["--udp", "--port", String(to.port), "--pskusername", identity, "--pskkey", hex(psk)];
  const program = host.spawn("gnutls-cli", "gnutls-cli", [...args, ...gnutlsPriority, to.address], {
    stdin: true,
  });
  return new ForeignPeer(program, true);
}

/** Asks for a cookie, as every DTLS server should. */
export async function opensslServer(
  host: Host,
  port: number,
  { identity, psk }: Credentials,
): Promise<ForeignPeer> {
  const args = ["s_server", "-dtls1_2", "-listen", "-accept", String(port), "-quiet", "-nocert"];
  const key = ["-cipher", foreignSuite, "-psk", hex(psk), "-psk_identity", identity];
  const program = host.spawn("s_server", "openssl", [...args, ...key], { stdin: true });
  await host.listening(program, "udp", port);
  return new ForeignPeer(program);
}

/** Sends back every record that it receives. */
export async function gnutlsServer(
  host: Host,
  port: number,
  { identity, psk }: Credentials,
): Promise<ForeignPeer> {
  const file = join(host.folder, `gnutls-psk-${port}`);
  writeFileSync(file, `${identity}:${hex(psk)}\n`, { mode: 0o600 });
  const args = ["--udp", "--echo", "--port", String(port), "--pskpasswd", file];
  const program = host.spawn("gnutls-serv", "gnutls-serv", [...args, ...gnutlsPriority], { stdin: true });
  await host.listening(program, "udp", port);
  return new ForeignPeer(program);
}

/** The npm package node-dtls-client in a process of its own (node-dtls.ts). */
export class NodeDtlsClient {
  readonly program: Running;

  constructor(host: Host, to: { address: string; port: number }, { identity, psk }: Credentials) {
    const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
    const script = fileURLToPath(new URL("./node-dtls.ts", import.meta.url));
    const config = JSON.stringify({ ...to, identity, psk });
    this.program = host.spawn("node-dtls", process.execPath, ["--import", loader, script, config], {
      stdin: true,
    });
  }

  send(packet: Buffer): void {
    this.program.stdin.write(`${packet.toString("hex")}\n`);
  }

  /** What came out of the tunnel, message by message. */
  get messages(): Buffer[] {
    return this.#lines("message ").map((text) => Buffer.from(text, "hex"));
  }

  get errors(): string[] {
    return this.#lines("error ");
  }

  async connected(): Promise<void> {
    await this.program.until(() => this.program.log.includes("connected\n"), 15_000, "it is connected");
  }

  async close(): Promise<void> {
    this.program.stdin.end();
    await waitFor(() => this.program.code !== undefined, 10_000, `${this.program.name} ends`);
  }

  #lines(prefix: string): string[] {
    const lines = this.program.log.split("\n").filter((line) => line.startsWith(prefix));
    return lines.map((line) => line.slice(prefix.length));
  }
}
