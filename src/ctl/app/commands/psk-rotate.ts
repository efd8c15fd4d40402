import { VpnError } from "../../../common/errors.js";
import { generatePsk } from "../../../common/psk.js";
import { networkOf } from "../../core/globals.js";
import type { CtlCommand } from "../context.js";
import { readPskFile } from "../named-secrets.js";
import { type PskChange, printPskChange, setPsk } from "../psk-change.js";
import { defaultGraceSeconds, type PskSetFlags } from "./psk-set.js";

export interface PskRotateFlags extends PskSetFlags {
  readonly out?: string;
}

const pskBytes = 32;

/** Until nodes tell each other, this is `psk set` with a new key that is kept for the other nodes. */
const pskRotate: CtlCommand<PskRotateFlags, [string?]> = async (context, flags, positional) => {
  const { grace: graceSeconds = defaultGraceSeconds, dryRun = false, pskFile, out } = flags;
  if (pskFile !== undefined && out !== undefined) {
    throw new VpnError("usage", "--psk-file and --out exclude each other", {
      hint: "--out is where a new key is written; with --psk-file there is none",
    });
  }
  const network = networkOf(context.globals, positional);
  const key = pskFile === undefined ? generatePsk(context.random(pskBytes)) : undefined;
  const psk = key === undefined ? await readPskFile(context, pskFile) : Buffer.from(key);
  const change: PskChange = { network, psk, graceSeconds, dryRun };
  if (dryRun || key === undefined) {
    printPskChange(context, await setPsk(context, change), dryRun);
    return 0;
  }
  if (out === "-") {
    printPskChange(context, await setPsk(context, change), false, { key });
    return 0;
  }
  // Whatever vpnd has to object it says now, before a file is made.
  const would = (await setPsk(context, { ...change, dryRun: true })).psk;
  const file = out ?? `${would?.network ?? network}-${would?.epochs[0]?.fingerprint ?? "new"}.psk`;
  // The file first: a key in use that nobody has would be worse than a file without use.
  await context.files.create(file, `${key}\n`);
  try {
    printPskChange(context, await setPsk(context, change), false, { file });
  } catch (error) {
    context.err.write(`vpnctl: the new key stays in ${file}; if vpnd did not take it, remove the file\n`);
    throw error;
  }
  return 0;
};

export default pskRotate;
