import { buildApplication, ExitCode, run as runTree, type StricliProcess } from "@stricli/core";
import { errorTable, VpnError } from "../../common/errors.js";
import { errorText } from "../core/error-text.js";
import { type Globals, parseGlobals } from "../core/globals.js";
import type { Api } from "../io/api.js";
import type { SecretFiles } from "../io/secret-files.js";
import { commandNames } from "./command-names.js";
import type { CtlContext, Output } from "./context.js";
import { tree } from "./tree.js";
import { parserText, usageError } from "./usage-errors.js";

/** What the program gets from outside; a test gives its own. */
export interface Surroundings {
  readonly out: Output;
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly version: string;
  readonly files: SecretFiles;
  now(): Date;
  random(bytes: number): Uint8Array;
  dial(socket: string): Promise<Api>;
}

/** Runs one command line to its end. @returns the exit code */
export async function runCommandLine(argv: readonly string[], around: Surroundings): Promise<number> {
  let globals: Globals;
  let rest: string[];
  try {
    ({ globals, rest } = parseGlobals(argv, around.env));
  } catch (thrown) {
    return report(around, VpnError.from(thrown), argv.includes("--debug"));
  }
  let finished: number | undefined;
  let failure: VpnError | undefined;
  // stricli ends each error that is only remembered here with an empty line; hence a stderr of its own.
  const parserErrors: string[] = [];
  const process: StricliProcess = {
    stdout: around.out,
    stderr: { write: (text) => void parserErrors.push(text) },
    env: {},
  };
  const context: CtlContext = {
    ...around,
    process,
    globals,
    commandNames: commandNames(tree),
    now: () => around.now(),
    random: (bytes) => around.random(bytes),
    dial: () => around.dial(globals.socket),
    finish: (exitCode) => {
      finished = exitCode;
    },
  };
  const remember = (error: VpnError): string => {
    failure = error;
    return "";
  };
  const application = buildApplication(tree, {
    name: "vpnctl",
    versionInfo: { currentVersion: around.version },
    scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
    documentation: { caseStyle: "convert-camel-to-kebab", disableAnsiColor: true },
    localization: {
      text: {
        ...parserText,
        exceptionWhileParsingArguments: (thrown) => remember(usageError(thrown)),
        exceptionWhileRunningCommand: (thrown) => remember(VpnError.from(thrown)),
        exceptionWhileLoadingCommandFunction: (thrown) => remember(VpnError.from(thrown)),
      },
    },
  });
  await runTree(application, helpAsFlag(rest), context);
  if (failure !== undefined) return report(around, failure, globals.debug);
  const unprinted = parserErrors.join("").trim();
  if (unprinted !== "") around.err.write(`${unprinted}\n`);
  if (finished !== undefined) return finished;
  return fromStricli(process.exitCode);
}

/** `vpnctl help peers` is `vpnctl peers --help`. */
function helpAsFlag(words: readonly string[]): readonly string[] {
  return words[0] === "help" ? [...words.slice(1), "--help"] : words;
}

function fromStricli(code: StricliProcess["exitCode"]): number {
  switch (code) {
    case undefined:
    case ExitCode.Success:
      return 0;
    case ExitCode.UnknownCommand:
    case ExitCode.InvalidArgument:
      return errorTable.usage.exit;
    default:
      return errorTable.internal.exit;
  }
}

/** Ctrl-C was the user's own doing and needs no words. */
function report(around: Surroundings, error: VpnError, debug: boolean): number {
  if (!(error.code === "cancelled" && around.signal.aborted)) around.err.write(errorText(error, debug));
  return error.exitCode;
}
