import { fingerprint, generatePsk, parsePsk } from "../../../common/psk.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import type { CtlCommand } from "../context.js";

const pskBytes = 32;

const pskGenerate: CtlCommand<{ readonly out?: string }, []> = async (context, { out }) => {
  const key = generatePsk(context.random(pskBytes));
  const mark = fingerprint(parsePsk(Buffer.from(key), { badger: false }));
  const { json } = context.globals;
  if (out !== undefined) {
    await context.files.create(out, `${key}\n`);
    context.out.write(
      json
        ? jsonLine({ schema: "vpnctl.psk-generate/v1", fingerprint: mark, file: out })
        : `wrote a new key to ${out}\n${notes([`psk fingerprint ${mark}`])}`,
    );
    return 0;
  }
  // Only the key on standard output, so that it can be redirected into a file as it is.
  context.out.write(
    json ? jsonLine({ schema: "vpnctl.psk-generate/v1", fingerprint: mark, psk: key }) : `${key}\n`,
  );
  return 0;
};

export default pskGenerate;
