import { networkOf } from "../../core/globals.js";
import type { CtlCommand } from "../context.js";
import { readPskFile } from "../named-secrets.js";
import { printPskChange, setPsk } from "../psk-change.js";

export interface PskSetFlags {
  readonly pskFile?: string;
  /** Seconds. */
  readonly grace?: number;
  readonly dryRun?: boolean;
}

export const defaultGraceSeconds = 7 * 86_400;

const pskSet: CtlCommand<PskSetFlags, [string?]> = async (context, flags, positional) => {
  const network = networkOf(context.globals, positional);
  const { grace: graceSeconds = defaultGraceSeconds, dryRun = false } = flags;
  const psk = await readPskFile(context, flags.pskFile);
  printPskChange(context, await setPsk(context, { network, psk, graceSeconds, dryRun }), dryRun);
  return 0;
};

export default pskSet;
