import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { logViews, viewRow, viewSql, viewStatement } from "./views.js";

test("the database's views are the statements of the tools", () => {
  const file = new URL("../../../../migrations/postgres/0005-log-views.sql", import.meta.url);
  const migration = readFileSync(file, "utf8");
  for (const view of logViews) {
    assert.ok(migration.includes(`CREATE VIEW vpnd.${view} AS${viewSql(view, "vpnd.log")};\n`), view);
  }
});

test("a view of some packets asks for these only", () => {
  for (const view of logViews) {
    const { sql, parameters } = viewStatement(view, {
      network: "office",
      since: { secondsAgo: 60 },
      limit: 5,
    });
    assert.equal(sql.split("vpnd.log").length, 2);
    assert.ok(sql.includes("(SELECT * FROM vpnd.log WHERE network = $1::text AND at >= now()"));
    assert.ok(sql.endsWith("LIMIT $3::bigint"));
    assert.deepEqual(parameters, ["office", "60", "5"]);
  }
});

test("rows are named, nulls are absent, times are RFC 3339", () => {
  const row = viewRow("connections", [
    "10.0.0.1",
    "1",
    "10.0.0.2",
    "2",
    "open",
    null,
    null,
    "3",
    "4",
    "2026-03-01 14:30:00.5+00",
  ]);
  assert.equal(row.opened, undefined);
  assert.equal(row.last, "2026-03-01T14:30:00.500000Z");
});
