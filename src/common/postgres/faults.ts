/** Why the database does not carry packets now, in a word and a line, and whether waiting may help. */
import type { Refusal } from "./wire.js";

export interface Fault {
  code: string;
  message: string;
  /** Someone has to do something first: nobody waits for it in vain. */
  lasting: boolean;
  hint?: string;
}

interface Known {
  code: string;
  says: string;
  lasting: boolean;
  hint?: string;
}

/** Not of PostgreSQL: seen before anybody logged in. */
export const noTls = "no-tls";
export const untrusted = "certificate";
const again = { lasting: false };
/** By SQLSTATE, or the class that it begins with. */
const known: Readonly<Record<string, Known>> = {
  "28": {
    code: "login-refused",
    says: "the database refuses the user or the password",
    lasting: true,
    hint: "check the user in the URL and --postgres-password-file",
  },
  [noTls]: {
    code: noTls,
    says: "the database has no TLS, which the URL requires",
    lasting: true,
    hint: "switch it on there (ssl = on in postgresql.conf), or leave sslmode out of the URL",
  },
  [untrusted]: {
    code: untrusted,
    says: "the database's certificate is not to be trusted",
    lasting: true,
    hint: "name the file of its authority: &sslrootcert=/FILE in the URL",
  },
  "3D": { code: "no-database", says: "there is no such database", lasting: true, hint: "check the URL" },
  "42501": {
    code: "not-permitted",
    says: "the role may not do this in the database",
    lasting: true,
    hint: "ask the network's owner for vpnd.add_member (docs/postgres.md)",
  },
  "3F": {
    code: "no-schema",
    says: "the database has no schema vpnd, and this role may not make it",
    lasting: true,
    hint: "let its owner join first (docs/postgres.md)",
  },
  "42": { code: "no-schema", says: "the schema vpnd in the database is damaged", lasting: true },
  "53100": { code: "disk-full", says: "the database's disk is full", ...again },
  "53300": { code: "too-many-connections", says: "the database has too many connections", ...again },
  "53": { code: "out-of-resources", says: "the database is out of resources", ...again },
  "57P": { code: "database-down", says: "the database is stopping or starting", ...again },
  "25006": { code: "read-only", says: "the database takes no writes", ...again },
  "55P03": { code: "locked", says: "somebody holds a lock on the log", ...again },
};

/** What PostgreSQL says to who may do no more than its own part. */
const ownersOnly = /does not own|must be (owner|member)/;

export function faultOf({ code, message }: Refusal): Fault {
  const found = known[code] ?? known[code.slice(0, 3)] ?? known[code.slice(0, 2)];
  if (found === undefined)
    return { code: "database-error", message: `the database says: ${message}`, ...again };
  const { says, ...rest } = found;
  if (found.code === "not-permitted" && ownersOnly.test(message))
    return { ...rest, message: `${says}: ${message}`, hint: "only the owner of the schema vpnd may" };
  return { ...rest, message: `${says}: ${message}` };
}
