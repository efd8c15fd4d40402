import {
  type ApplicationText,
  ArgumentScannerError,
  formatMessageForArgumentScannerError,
  text_en,
} from "@stricli/core";
import { VpnError } from "../../common/errors.js";
import { errorText } from "../core/error-text.js";

/** Every error of the parser in the two-line form, and without values that might be secrets. */
export const parserText: ApplicationText = {
  ...text_en,
  noCommandRegisteredForInput: ({ input, corrections }) => {
    const nearest = corrections[0]?.replaceAll("`", "");
    const hint =
      nearest === undefined
        ? "list all commands: vpnctl --help"
        : `did you mean ${nearest}? all: vpnctl --help`;
    return twoLines(new VpnError("usage", `there is no command "${input.slice(0, 64)}"`, { hint }));
  },
  exceptionWhileParsingArguments: (thrown) => twoLines(usageError(thrown)),
  exceptionWhileLoadingCommandFunction: (thrown) => twoLines(VpnError.from(thrown)),
  exceptionWhileLoadingCommandContext: (thrown) => twoLines(VpnError.from(thrown)),
  commandErrorResult: (error) => twoLines(VpnError.from(error)),
};

function twoLines(error: VpnError): string {
  return errorText(error, false).trimEnd();
}

/** @param thrown what stricli met while it read arguments */
export function usageError(thrown: unknown): VpnError {
  if (thrown instanceof VpnError) return thrown;
  const hint = "see: vpnctl COMMAND --help";
  if (!(thrown instanceof ArgumentScannerError)) return VpnError.from(thrown, "usage");
  let nested: VpnError | undefined;
  const message = formatMessageForArgumentScannerError(thrown, {
    FlagNotFoundError: ({ input, corrections }) =>
      `there is no flag --${name(input)}${corrections.length > 0 ? `; did you mean ${corrections.map(flag).join(" or ")}?` : ""}`,
    AliasNotFoundError: ({ input }) => `there is no flag -${input}`,
    ArgumentParseError: ({ externalFlagNameOrPlaceholder, exception }) => {
      if (exception instanceof VpnError) nested = exception;
      return `${externalFlagNameOrPlaceholder} has a value that is not understood`;
    },
    EnumValidationError: ({ externalFlagName, values }) =>
      `${flag(externalFlagName)} is one of ${values.join(", ")}`,
    UnsatisfiedFlagError: ({ externalFlagName }) => `${flag(externalFlagName)} needs a value`,
    UnsatisfiedPositionalError: ({ placeholder }) => `${placeholder} is missing`,
    UnexpectedPositionalError: ({ expectedCount }) =>
      expectedCount === 0
        ? "this command takes no arguments"
        : `too many arguments: this command takes ${expectedCount}`,
    UnexpectedFlagError: ({ externalFlagName }) => `${flag(externalFlagName)} is given twice`,
    InvalidNegatedFlagSyntaxError: ({ externalFlagName }) => `${flag(externalFlagName)} takes no value`,
  });
  return nested ?? new VpnError("usage", message, { hint });
}

function name(input: string): string {
  return input.replace(/=.*/s, "").slice(0, 64);
}

function flag(input: string): string {
  return `--${input.replace(/^--/, "").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
