import { configError, formatProblem } from "../../../common/config/evaluate.js";
import { readConfigFiles } from "../../../common/config/files.js";
import { keysOf } from "../../../common/config/keys.js";
import type { Entry, Problem } from "../../../common/config/layer.js";
import { showConfig } from "../../../common/config/show.js";
import { VpnError } from "../../../common/errors.js";
import { gatewayToken } from "../../../common/gateway/token.js";
import { parsePsk } from "../../../common/psk.js";
import { vpndSchema } from "../../core/config/schema.js";
import { type DeclaredNetwork, evaluateSettings, type Settings } from "../../core/config/settings.js";
import { readSecretFile } from "./secret-file.js";

export const defaultConfigFile = "/etc/vpnd/vpnd.toml";

/** Where settings come from. */
export interface ConfigSource {
  /** Undefined: the default one, which need not exist. */
  configFile: string | undefined;
  /** Flags. */
  overrides: readonly Entry[];
}

/** A declared network with its key: what it takes to join it. */
export interface ReadyNetwork extends DeclaredNetwork {
  /** As `parsePsk` returned it; empty for a link that is not encrypted. */
  psk: Uint8Array;
  /** What a gateway or a database asks for; absent: nothing. */
  password?: string;
}

export interface LoadedConfig {
  settings: Settings;
  networks: ReadyNetwork[];
  /** By dotted key, for what is said of changes. */
  entries: ReadonlyMap<string, Entry>;
  /** Those that were read. */
  files: string[];
}

/** Reads files and keys. @throws VpnError `usage` with the first thing that is wrong */
export async function loadConfig(source: ConfigSource): Promise<LoadedConfig> {
  const { files, entries, settings, problems } = await evaluateFiles(source);
  throwFirst(problems);
  if (!settings) throw new VpnError("internal", "config without settings or problems");
  const networks: ReadyNetwork[] = [];
  for (const declared of settings.networks) {
    const secrets = await readSecrets(declared);
    if (isProblem(secrets)) problems.push(secrets);
    else networks.push({ ...declared, ...secrets });
  }
  throwFirst(problems);
  return { settings, networks, entries, files };
}

/**
 * Where a vpnd with this config has its state and socket, as far as the config can be understood: a mistake in it must not keep
 * anybody from cleaning up.
 */
export async function loadPlaces(
  source: ConfigSource,
): Promise<Pick<Settings, "stateDir" | "socket"> & { problems: string[] }> {
  const { entries, problems } = await evaluateFiles(source);
  const places = ["state_dir", "socket"].flatMap((name) => entries.get(name) ?? []);
  const settings =
    evaluateSettings(places).settings ??
    evaluateSettings(source.overrides).settings ??
    evaluateSettings([]).settings;
  if (!settings) throw new VpnError("internal", "the default config is wrong");
  const { stateDir, socket } = settings;
  return { stateDir, socket, problems: problems.map(formatProblem) };
}

/** What `--check-config` says. */
export interface ConfigReport {
  /** TOML of what is in force; empty if something is wrong. */
  text: string;
  /** A line each, for standard error. */
  problems: string[];
  /** What could not be checked, a line each. */
  notes: string[];
}

export async function checkConfig(source: ConfigSource): Promise<ConfigReport> {
  const { files, entries, settings, problems } = await evaluateFiles(source);
  const notes: string[] = [];
  for (const declared of settings?.networks ?? []) {
    const secrets = await readSecrets(declared);
    if (!isProblem(secrets)) continue;
    if (secrets.unreadable) notes.push(`not checked: ${secrets.message}`);
    else problems.push(secrets);
  }
  const read = files.length === 0 ? "no config file" : `read: ${files.join(", ")}`;
  return {
    text: problems.length > 0 ? "" : `# ${read}\n${showConfig(keysOf(vpndSchema), entries)}`,
    problems: problems.flatMap((problem) => [formatProblem(problem), `  ${problem.hint}`]),
    notes,
  };
}

async function evaluateFiles({ configFile, overrides }: ConfigSource) {
  const read = await readConfigFiles(configFile ?? defaultConfigFile, configFile !== undefined);
  const { settings, problems, entries } = evaluateSettings([...read.entries, ...overrides]);
  return { files: read.files, entries, settings, problems: [...read.problems, ...problems] };
}

type Secrets = Pick<ReadyNetwork, "psk" | "password">;
type SecretProblem = Problem & { unreadable: boolean };

const isProblem = (read: Secrets | SecretProblem): read is SecretProblem => "message" in read;

async function readSecrets(declared: DeclaredNetwork): Promise<Secrets | SecretProblem> {
  const { pskFile = "", passwordFile = "", options } = declared;
  let reading = pskFile;
  try {
    const psk =
      pskFile === ""
        ? new Uint8Array(0)
        : parsePsk(await readSecretFile(pskFile), { badger: options.badger });
    reading = passwordFile;
    if (passwordFile === "") return { psk };
    return { psk, password: await readPassword(declared, passwordFile) };
  } catch (error) {
    return secretProblem(declared, reading, VpnError.from(error));
  }
}

/** What the database or the gateway asks for. */
async function readPassword({ options }: DeclaredNetwork, file: string): Promise<string> {
  if (options.postgres === undefined) return tokenIn(await readSecretFile(file, "token"));
  const text = Buffer.from(await readSecretFile(file, "password")).toString("utf8");
  const password = text.replace(/\r?\n$/, "");
  if (password !== "") return password;
  throw new VpnError("usage", "no password is in it", {
    hint: "drop postgres_password_file if the database asks for none",
  });
}

function tokenIn(bytes: Uint8Array): string {
  const token = gatewayToken(bytes);
  if (token !== "") return token;
  throw new VpnError("usage", "no token is in it", { hint: "drop token_file if the gateway asks for none" });
}

function secretProblem(
  { options, origin }: DeclaredNetwork,
  file: string,
  { code, message, hint = "see docs/config.md" }: VpnError,
): SecretProblem {
  const what = message.includes(file) ? message : `${file}: ${message}`;
  const unreadable = code === "not-permitted";
  return { origin, message: `network ${options.network}: ${what}`, hint, unreadable };
}

function throwFirst(problems: readonly Problem[]): void {
  const [first, ...more] = problems;
  if (first) throw configError([first, ...more], "vpnd");
}
