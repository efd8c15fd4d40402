import assert from "node:assert/strict";
import { test } from "node:test";
import { faultOf, noTls, untrusted } from "../../../common/postgres/faults.js";
import { formatPostgresUrl, parsePostgresUrl, splitPassword } from "../../../common/postgres/url.js";
import {
  AnswerReader,
  bindAndExecute,
  readNotification,
  readRefusal,
  simpleQuery,
  textRow,
} from "../../../common/postgres/wire.js";
import { parseWake, wakeText } from "./channels.js";
import { Nodes, type OtherRow } from "./nodes.js";
import { Openings } from "./openings.js";
import { checkPostgresOptions } from "./options.js";

test("URLs are read, and written in one form", () => {
  const address = parsePostgresUrl(
    "postgresql://me%40x@DB.example,[2001:DB8::1]:6000/log?sslmode=require&network=office",
  );
  assert.deepEqual(address, {
    servers: ["db.example:5432", "[2001:db8::1]:6000"],
    user: "me@x",
    database: "log",
    ssl: "require",
    network: "office",
  });
  const text = "postgres://me%40x@db.example:5432,[2001:db8::1]:6000/log?sslmode=require&network=office";
  assert.equal(formatPostgresUrl(address), text);
  assert.deepEqual(parsePostgresUrl(text), address);
  assert.equal(parsePostgresUrl("postgres://me@h").database, "me");
});

test("a password is taken out of a URL, and refused in one", () => {
  const split = splitPassword("postgres://me:a%20b@h/db");
  assert.deepEqual(split, { url: "postgres://me@h/db", password: "a b" });
  assert.deepEqual(splitPassword("postgres://me@h/db"), { url: "postgres://me@h/db" });
  assert.throws(
    () => parsePostgresUrl("postgres://me:secret@h/db"),
    (error: Error) => {
      assert.doesNotMatch(error.message, /secret/);
      return true;
    },
  );
});

test("what is no URL of a database is refused without being quoted", () => {
  for (const url of [
    "",
    "http://me@h/db",
    "postgres://h/db",
    "postgres://me@/db",
    "postgres://me@h:0/db",
    "postgres://me@h:70000/db",
    "postgres://me@h/db?sslmode=maybe",
    "postgres://me@h/db?options=-c",
    "postgres://me@h/db?network=Bad",
    "postgres://me@h;rm/db",
    `postgres://me@${"h,".repeat(600)}h/db`,
  ]) {
    assert.throws(() => parsePostgresUrl(url), { code: "usage" }, url);
  }
  const options = { url: "postgres://me@h/db", fast: false, encrypted: false };
  assert.throws(() => checkPostgresOptions({ ...options, retentionSeconds: 5 }), { code: "usage" });
  assert.throws(() => checkPostgresOptions({ ...options, maxBytes: 5 }), { code: "usage" });
});

test("refusals have a word, and say whether waiting helps", () => {
  assert.deepEqual(
    ["28P01", "42501", "53100", "57P01", "42P01", "XX000", noTls, untrusted].map((code) => {
      const fault = faultOf({ code, message: "m" });
      return [fault.code, fault.lasting];
    }),
    [
      ["login-refused", true],
      ["not-permitted", true],
      ["disk-full", false],
      ["database-down", false],
      ["no-schema", true],
      ["database-error", false],
      ["no-tls", true],
      ["certificate", true],
    ],
  );
});

test("answers are cut out of any pieces of a stream", () => {
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const bodies = [Buffer.alloc(0), Buffer.alloc(3, 1), Buffer.alloc(70_000, 2), Buffer.alloc(1, 3)];
  const stream = Buffer.concat(bodies.map((body) => message("D", body)));
  for (const size of [1, 2, 7, 4096, 65_536, stream.length]) {
    const got: Buffer[] = [];
    const reader = new AnswerReader((type, body) => {
      assert.equal(type, "D".charCodeAt(0));
      got.push(Buffer.from(body));
    });
    for (let at = 0; at < stream.length; at += size) reader.read(Buffer.from(stream.subarray(at, at + size)));
    assert.deepEqual(got, bodies, `pieces of ${size}`);
  }
  const reader = new AnswerReader(() => {});
  assert.throws(() => reader.read(Buffer.from("44ffffffff", "hex")), RangeError);
});

test("questions and answers have the protocol's form", () => {
  assert.equal(simpleQuery("a").toString("hex"), "51000000066100");
  const bound = bindAndExecute("s", ["1", null], true);
  const bind = "4200000018" + "00" + "7300" + "0000" + "0002" + "0000000131" + "ffffffff" + "00010001";
  assert.equal(bound.toString("hex"), `${bind}450000000900${"00000000"}`);
  assert.deepEqual(textRow(Buffer.from("0002" + "0000000161" + "ffffffff", "hex")), ["a", null]);
  assert.deepEqual(readRefusal(Buffer.from("SERROR\0C42501\0Mno\0\0")), { code: "42501", message: "no" });
  assert.deepEqual(readNotification(Buffer.from("\0\0\0\u0001ch\0text\0")), {
    channel: "ch",
    payload: "text",
  });
});

test("a wake-up of somebody else is none", () => {
  assert.equal(parseWake(wakeText(12n)), 12n);
  for (const text of ["", "x", "-1", "1 2", "9".repeat(30)]) assert.equal(parseWake(text), undefined);
});

const openings = new Openings("office", []);
const row = (more: Partial<OtherRow>): OtherRow => ({
  node: 2,
  address: "10.0.0.2",
  name: "beta",
  age: 1,
  over: false,
  durable: true,
  head: 0n,
  salt: null,
  check: null,
  ...more,
});

test("a reader begins behind what was there, and reads later sessions from their first packet", () => {
  const nodes = new Nodes();
  assert.deepEqual(nodes.update([row({ session: 5n, head: 40n })], openings, 0).unread, []);
  assert.equal(nodes.cursor(5n)?.behind, 40n);
  assert.equal(nodes.cursor(5n)?.older, true);
  const later = nodes.update([row({ session: 5n, head: 41n }), row({ session: 6n, head: 3n })], openings, 0);
  assert.deepEqual(
    later.unread.map(({ session, behind }) => [session, behind]),
    [
      [5n, 40n],
      [6n, 0n],
    ],
  );
  nodes.update([row({ session: 6n })], openings, 0);
  assert.equal(nodes.cursor(5n), undefined);
});

test("peers are up while they and the database are", () => {
  const nodes = new Nodes();
  nodes.update([row({ session: 5n })], openings, 0);
  const state = (): string | undefined => nodes.views(1400, "h:1")[0]?.state;
  assert.equal(state(), "connecting");
  assert.deepEqual(
    nodes.reached(undefined, 1).map(({ type }) => type),
    ["up"],
  );
  assert.equal(state(), "up");
  assert.deepEqual(
    nodes.update([row({ session: 5n, age: 20 })], openings, 2).events.map(({ type }) => type),
    ["down"],
  );
  assert.equal(state(), "offline");
  nodes.update([row({ session: 6n })], openings, 3);
  nodes.reached({ code: "disk-full", message: "full" }, 4);
  assert.equal(nodes.views(1400, undefined)[0]?.reason?.code, "disk-full");
  nodes.update([], openings, 5);
  assert.deepEqual(nodes.views(1400, undefined), []);
  assert.equal(nodes.at(Buffer.of(10, 0, 0, 2)), undefined);
});
