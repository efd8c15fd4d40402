/** What the commands `log …` share. */
import { VpnError } from "../../common/errors.js";
import { parseFilter } from "../../common/postgres/log/filter.js";
import type { LogTime } from "../../common/postgres/log/query.js";
import { splitPassword } from "../../common/postgres/url.js";
import { parsePsk } from "../../common/psk.js";
import { networkOf } from "../core/globals.js";
import { hasPassword, passwordOf } from "../core/postgres-options.js";
import type { PacketLog, Question } from "../io/packet-log.js";
import { type CtlContext, warn } from "./context.js";
import { readPasswordFile, readPskFile } from "./named-secrets.js";

/** Where the log is. */
export interface LogPlaceFlags {
  readonly postgres?: string;
  readonly postgresPasswordFile?: string;
  readonly pskFile?: string;
}

export interface LogFlags extends LogPlaceFlags {
  readonly filter?: string;
  readonly since?: LogTime;
  readonly until?: LogTime;
  readonly limit?: number;
}

/** @throws VpnError `usage` */
export function questionOf(context: CtlContext, flags: LogFlags, network: string | undefined): Question {
  const { filter = "", since, until, limit } = flags;
  parseFilter(filter);
  return {
    network: networkOf(context.globals, network),
    filter,
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(limit !== undefined && { limit }),
  };
}

/** Runs `use` with the log, which is closed afterwards. */
export async function withLog<T>(
  context: CtlContext,
  flags: LogPlaceFlags & { readonly readOnly?: boolean },
  use: (log: PacketLog) => Promise<T>,
): Promise<T> {
  const log = await openLog(context, flags, flags.readOnly ?? true);
  try {
    return await use(log);
  } finally {
    log.close();
  }
}

async function openLog(context: CtlContext, flags: LogPlaceFlags, readOnly: boolean): Promise<PacketLog> {
  const { postgres, postgresPasswordFile: file, pskFile } = flags;
  const { logOfDatabase, logOfVpnd } = await import("../io/packet-log.js");
  if (postgres === undefined) {
    if (file !== undefined || pskFile !== undefined) {
      const option = file === undefined ? "--psk-file" : "--postgres-password-file";
      throw new VpnError("usage", `${option} is for --postgres URL`, {
        hint: "vpnd has what it needs: leave it out",
      });
    }
    return logOfVpnd(await context.dial(), context.signal);
  }
  const { url, password } = splitPassword(postgres);
  if (hasPassword(postgres)) {
    warn(
      context,
      "everybody who lists processes sees the password in the URL; better: --postgres-password-file FILE or -",
    );
  }
  const given =
    file === undefined
      ? password
      : new TextDecoder().decode(passwordOf(await readPasswordFile(context, file)));
  const psk =
    pskFile === undefined ? undefined : parsePsk(await readPskFile(context, pskFile), { badger: false });
  return logOfDatabase({ url, password: given, psk, readOnly }, context.signal);
}
