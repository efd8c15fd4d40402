/** The schema in the database, brought to the version of this vpnd. */
import { readdir, readFile } from "node:fs/promises";
import { VpnError } from "../../../common/errors.js";
import { packageFile } from "../../../common/package-file.js";
import { DatabaseError, type WireConnection } from "../../../common/postgres/wire-connection.js";

const folder = packageFile("migrations/postgres/");
/** Of the advisory lock: one vpnd at a time. */
const lockKey = 1_986_031_203;

interface Migration {
  version: number;
  file: string;
}

/**
 * Makes the schema, or brings it up to date, in one transaction for each step. A role that may not, finds it as it is.
 * @throws VpnError `failed` for a schema of a newer vpnd
 * @throws DatabaseError, `3F000` when there is no schema and none can be made
 */
export async function migrate(connection: WireConnection): Promise<void> {
  const migrations = await listMigrations();
  const [found, newest] = [await versionOf(connection), newestOf(migrations)];
  if (found > newest) {
    throw new VpnError(
      "failed",
      `the log's schema is of a newer vpnd: version ${found} instead of ${newest}`,
      {
        hint: "update vpnd here",
      },
    );
  }
  if (found === newest) return;
  for (const { version, file } of migrations) {
    const sql = await readFile(`${folder}${file}`, "utf8");
    await connection.script("BEGIN");
    try {
      await connection.script(`SELECT pg_advisory_xact_lock(${lockKey})`);
      // Somebody else may have been faster.
      if ((await versionOf(connection)) < version) {
        await connection.script(sql);
        await connection.run("INSERT INTO vpnd.schema_version (version) VALUES ($1::integer)", [
          String(version),
        ]);
      }
      await connection.script("COMMIT");
    } catch (error) {
      await connection.script("ROLLBACK").catch(() => {});
      throw missingSchema(error);
    }
  }
}

/** 0: there is none. */
async function versionOf(connection: WireConnection): Promise<number> {
  const [found] = await connection.run("SELECT to_regclass('vpnd.schema_version') IS NOT NULL");
  if (found?.[0] !== "t") return 0;
  const [row] = await connection.run("SELECT coalesce(max(version), 0) FROM vpnd.schema_version");
  return Number(row?.[0] ?? 0);
}

async function listMigrations(): Promise<Migration[]> {
  return (await readdir(folder))
    .filter((file) => /^\d{4}-.*\.sql$/.test(file))
    .sort()
    .map((file) => ({ version: Number(file.slice(0, 4)), file }));
}

const newestOf = (migrations: readonly Migration[]): number =>
  Math.max(0, ...migrations.map(({ version }) => version));

/** "Permission denied for database" says little; what is missing is the schema. */
function missingSchema(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || error.refusal.code !== "42501") return error;
  return new DatabaseError({ ...error.refusal, code: "3F000" });
}
