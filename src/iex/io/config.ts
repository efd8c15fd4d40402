import { configError, formatProblem } from "../../common/config/evaluate.js";
import { readConfigFiles } from "../../common/config/files.js";
import type { Entry, Problem } from "../../common/config/layer.js";
import { showConfig } from "../../common/config/show.js";
import { VpnError } from "../../common/errors.js";
import { evaluateSettings, iexdKeys, type Settings } from "../core/config.js";

const defaultConfigFile = "/etc/vpnd/iexd.toml";

/** Where settings come from. */
export interface ConfigSource {
  /** Undefined: the default one, which need not exist. */
  configFile: string | undefined;
  /** Flags. */
  overrides: readonly Entry[];
}

export interface LoadedConfig {
  settings: Settings;
  /** By dotted key, for what is said of changes. */
  entries: ReadonlyMap<string, Entry>;
  /** Those that were read. */
  files: string[];
}

/** @throws VpnError `usage` with the first thing that is wrong */
export async function loadConfig(source: ConfigSource): Promise<LoadedConfig> {
  const { settings, problems, entries, files } = await read(source);
  const [first, ...more] = problems;
  if (first) throw configError([first, ...more], "iexd");
  if (!settings) throw new VpnError("internal", "config without settings or problems");
  return { settings, entries, files };
}

/** TOML of what is in force. @throws VpnError `usage` with all that is wrong, two lines each */
export async function checkConfig(source: ConfigSource): Promise<string> {
  const { problems, entries, files } = await read(source);
  if (problems.length > 0) throw new VpnError("usage", problems.map(twoLines).join("\n"));
  const from = files.length === 0 ? "no config file" : `read: ${files.join(", ")}`;
  return `# ${from}\n${showConfig(iexdKeys, entries)}`;
}

const twoLines = (problem: Problem): string => `${formatProblem(problem)}\n  ${problem.hint}`;

async function read({ configFile, overrides }: ConfigSource) {
  const {
    entries: inFiles,
    problems: unreadable,
    files,
  } = await readConfigFiles(configFile ?? defaultConfigFile, configFile !== undefined);
  const { settings, problems, entries } = evaluateSettings([...inFiles, ...overrides]);
  return { settings, problems: [...unreadable, ...problems], entries, files };
}
