import { VpnError } from "../../common/errors.js";
import { printable } from "./table.js";

const deepest = 8;

/** A line of what happened and, where known, a line of what to do; with `debug` also code and causes. */
export function errorText(error: VpnError, debug: boolean): string {
  const lines = [`vpnctl: ${printable(error.message)}`];
  if (error.hint !== undefined) lines.push(printable(error.hint));
  if (debug) lines.push(...causes(error));
  return `${lines.join("\n")}\n`;
}

function causes(error: VpnError): string[] {
  const lines = [`  code: ${error.code}`];
  for (const [key, value] of Object.entries(error.fields))
    lines.push(`  ${key}: ${printable(String(value))}`);
  let cause: unknown = error.cause;
  for (let depth = 0; cause !== undefined && depth < deepest; depth++) {
    const name = cause instanceof VpnError ? cause.code : cause instanceof Error ? cause.name : typeof cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    lines.push(`  caused by: ${name}: ${printable(message)}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return lines;
}
