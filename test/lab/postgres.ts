/** A private PostgreSQL on a lab's host: its own folder, its own Unix user, removed with the test. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { must, type Result, run, waitFor } from "./command.js";
import type { Machine, Running } from "./machine.js";

const port = 5432;
const user = "postgres";
const psqlFlags = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];

/** The newest one that is installed. */
function binaries(): string {
  const root = "/usr/lib/postgresql";
  const newest = readdirSync(root)
    .filter((version) => /^\d+$/.test(version))
    .sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) throw new Error("PostgreSQL is missing\nrun: scripts/setup.sh");
  return join(root, newest, "bin");
}

/** Where a server has its files. */
async function makeFolder(host: Machine): Promise<string> {
  // Its user has to get there through the lab's folder.
  chmodSync(dirname(host.folder), 0o711);
  const folder = join(host.folder, "postgres");
  mkdirSync(folder, { mode: 0o700 });
  chownSync(folder, await idOf("-u"), await idOf("-g"));
  return folder;
}

async function idOf(flag: "-u" | "-g"): Promise<number> {
  return Number(await must("id", [flag, user]));
}

export class Database {
  readonly #folder: string;
  readonly #bin: string;
  #running: Running | undefined;

  private constructor(
    readonly host: Machine,
    /** Where it listens. */
    readonly address: string,
    folder: string,
    bin: string,
    readonly settings: readonly string[],
  ) {
    this.#folder = folder;
    this.#bin = bin;
  }

  /**
   * Roles log in by password over the network; the superuser `postgres` by `sql` here only.
   * @param settings "NAME=VALUE" each
   */
  static async create(host: Machine, address: string, settings: readonly string[] = []): Promise<Database> {
    const bin = binaries();
    const database = new Database(host, address, await makeFolder(host), bin, settings);
    const options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", user];
    await must("setpriv", database.#as(join(bin, "initdb"), ["-D", database.#data, ...options]));
    const rules = ["local all all trust", "local replication all trust", "host all all all scram-sha-256"];
    writeFileSync(join(database.#data, "pg_hba.conf"), `${rules.join("\n")}\n`);
    await database.#makeCertificate();
    await database.start();
    return database;
  }

  /** Follows this one from another host, and takes no writes until `promote`. */
  async standby(host: Machine, address: string): Promise<Database> {
    const other = new Database(host, address, await makeFolder(host), this.#bin, this.settings);
    const from = ["-h", this.#folder, "-p", String(port), "-U", user, "-D", other.#data];
    const how = ["-R", "-X", "stream", "-c", "fast", "--no-sync"];
    await must("setpriv", this.#as(join(this.#bin, "pg_basebackup"), [...from, ...how]));
    await other.start();
    return other;
  }

  async promote(): Promise<void> {
    await this.sql("SELECT pg_promote()", "postgres");
  }

  get #data(): string {
    return join(this.#folder, "data");
  }

  get program(): Running {
    if (this.#running === undefined) throw new Error("PostgreSQL is not running");
    return this.#running;
  }

  async start(): Promise<void> {
    const settings = [
      "ssl=on",
      `listen_addresses=${this.address}`,
      `port=${port}`,
      `unix_socket_directories=${this.#folder}`,
    ];
    const flags = [...settings, ...this.settings].flatMap((setting) => ["-c", setting]);
    const args = this.#as(join(this.#bin, "postgres"), ["-D", this.#data, ...flags]);
    this.#running = this.host.spawn("postgres", "setpriv", args);
    await this.program.until(
      async () => (await this.#psql("postgres", "SELECT 1")).code === 0,
      30_000,
      "PostgreSQL answers",
    );
  }

  /** As by `systemctl stop`: connections are ended. */
  async stop(): Promise<void> {
    this.program.kill("SIGINT");
    await this.program.ended();
  }

  /** SIGKILL. Its children notice, and end; until then another one would not start on their memory. */
  async crash(): Promise<void> {
    const { pid } = this.program;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    this.program.kill("SIGKILL");
    await this.program.ended();
    const gone = (): boolean => children.every((child) => !existsSync(`/proc/${child}`));
    await waitFor(gone, 20_000, "the children of PostgreSQL end");
  }

  /** Statements of the superuser; the answer without decoration. */
  async sql(text: string, database = "vpnd"): Promise<string> {
    const result = await this.#psql(database, text);
    if (result.code !== 0) throw new Error(`psql: ${result.stderr}\n${text}`);
    return result.stdout.trim();
  }

  /** Statements of a role, over the network as from its own machine; never rejects. */
  asRole(role: string, password: string, text: string): Promise<Result> {
    const where = ["-h", this.address, "-U", role, "-d", "vpnd"];
    const args = [...psqlFlags, ...where, "-c", text];
    return this.host.exec(join(this.#bin, "psql"), args, { env: { PGPASSWORD: password } });
  }

  /** A database of its own for the log, and a role that owns it. */
  async makeLog(role: string, password: string): Promise<void> {
    await this.sql(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`, "postgres");
    await this.sql(`CREATE DATABASE vpnd OWNER ${role}`, "postgres");
  }

  /** @param query how the way there is to be protected, and more */
  url(role: string, query = "sslmode=disable"): string {
    return `postgres://${role}@${this.address}/vpnd?${query}`;
  }

  /** Self-signed, for its address: trust it to verify it. */
  get certificate(): string {
    return join(this.host.folder, "server.crt");
  }

  async #makeCertificate(): Promise<void> {
    const [key, copy] = [join(this.#data, "server.key"), join(this.#data, "server.crt")];
    const how = [
      "-x509",
      "-nodes",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-days",
      "2",
    ];
    const what = ["-subj", "/CN=lab", "-addext", `subjectAltName=IP:${this.address}`];
    await must("openssl", ["req", ...how, ...what, "-keyout", key, "-out", this.certificate]);
    copyFileSync(this.certificate, copy);
    for (const file of [key, copy]) chownSync(file, await idOf("-u"), await idOf("-g"));
    chmodSync(key, 0o600);
  }

  #psql(database: string, text: string): Promise<Result> {
    const where = ["-h", this.#folder, "-U", user, "-d", database];
    return run(join(this.#bin, "psql"), [...psqlFlags, ...where, "-f", "-"], { input: text });
  }

  #as(command: string, args: readonly string[]): string[] {
    return [`--reuid=${user}`, `--regid=${user}`, "--clear-groups", command, ...args];
  }
}

/** A part of a node's log that was over two hours ago, `vpnd.old`, with one packet in it. The log's role is called owner. */
export async function addOldPart(database: Database, node: string): Promise<void> {
  await database.sql(`
    SET ROLE owner;
    DO $$ BEGIN
      CREATE TABLE vpnd.old (LIKE vpnd.packet INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);
      EXECUTE format('ALTER TABLE vpnd.packet_${node} ATTACH PARTITION vpnd.old FOR VALUES FROM (%L) TO (%L)',
                     now() - interval '3 hours', now() - interval '2 hours');
      INSERT INTO vpnd.part VALUES ('old', ${node}, now() - interval '3 hours', now() - interval '2 hours');
      INSERT INTO vpnd.packet_${node} (at, sender, session, seq, sent, kind, payload)
        VALUES (now() - interval '150 minutes', ${node}, 1, 1, now(), 2, '\\x00');
    END $$`);
}
