import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFilter } from "./filter.js";
import { filterSql } from "./filter-sql.js";

function sql(text: string): [string, string[]] {
  const filter = parseFilter(text);
  assert.ok(filter);
  const { sql, parameters } = filterSql(filter, 1);
  return [sql, parameters];
}

test("filters are what tcpdump's are", () => {
  const both = "(source = $1::inet OR destination = $2::inet)";
  assert.deepEqual(sql("host 10.0.0.2"), [both, ["10.0.0.2", "10.0.0.2"]]);
  assert.deepEqual(sql("10.0.0.2"), [both, ["10.0.0.2", "10.0.0.2"]]);
  assert.deepEqual(sql("src 10.0.0.2"), ["source = $1::inet", ["10.0.0.2"]]);
  assert.deepEqual(sql("tcp dst port 443"), [
    "(protocol = $1::integer AND destination_port = $2::integer)",
    ["6", "443"],
  ]);
  assert.deepEqual(sql("dst net 2001:DB8::/32"), ["destination <<= $1::inet", ["2001:db8::/32"]]);
  assert.deepEqual(sql("udp portrange 1-9")[1], ["17", "1", "9", "1", "9"]);
  assert.deepEqual(sql("! icmp && (ip6 || proto 47)"), [
    "((protocol = $1::integer IS NOT TRUE) AND (version = $2::integer OR protocol = $3::integer))",
    ["1", "6", "47"],
  ]);
  assert.equal(parseFilter("  "), undefined);
});

test("`and` binds stronger than `or`, `not` strongest", () => {
  const [written] = sql("tcp or not udp and icmp");
  assert.equal(
    written,
    "(protocol = $1::integer OR ((protocol = $2::integer IS NOT TRUE) AND protocol = $3::integer))",
  );
});

test("what is wrong is pointed at", () => {
  for (const [text, column, what] of [
    ["host", 5, "the end"],
    ["host alpha", 6, '"alpha"'],
    ["tcp port http", 10, '"http"'],
    ["tcp port 443 80", 14, '"80"'],
    ["(tcp", 5, "the end"],
    ["tcp)", 4, '")"'],
    ["net 10.0.0.1/8", 5, '"10.0.0.1/8"'],
    ["portrange 9-1", 11, '"9-1"'],
    ["port 70000", 6, '"70000"'],
    ["proto 256", 7, '"256"'],
    ["src and", 5, '"and"'],
    ["constructor", 1, '"constructor"'],
    ["tcp and 1; DROP TABLE vpnd.packet", 9, '"1;"'],
  ] as const) {
    assert.throws(
      () => parseFilter(text),
      (error: Error) => {
        assert.ok(error.message.startsWith(`--filter, column ${column}: ${what},`), error.message);
        return true;
      },
    );
  }
  assert.throws(() => parseFilter("not ".repeat(60)), /at most 50 levels/);
  assert.throws(() => parseFilter("tcp or ".repeat(200)), /longer than 1000/);
});
